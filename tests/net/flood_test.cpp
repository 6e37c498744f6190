// The datagram seam under a flood: what a target does with each datagram of its group, without the socket.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/multicast/stream.h"
#include "transport/multicast/receiver.h"
#include "transport/net/packet_seal.h"

namespace stampede::net {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSpans = 8;
constexpr std::size_t kSymbol = 1360;
constexpr int kHostile = 100;  // datagrams for each true one

PacketKey key() {
  PacketKey key;
  key.stream = 9;
  key.key.fill(std::byte{5});
  return key;
}

class Flood : public ::testing::Test {
 protected:
  Bytes seal(const multicast::SampleSymbol& symbol) {
    Bytes datagram(kSealOverhead + multicast::kPacketHeader + kSymbol);
    const MutableBytes packet = MutableBytes(datagram).subspan(kSealHeader, multicast::kPacketHeader + kSymbol);
    multicast::encode(symbol.header, packet);
    std::ranges::copy(symbol.bytes, packet.begin() + multicast::kPacketHeader);
    sealer_.seal(++sequence_, datagram);
    return datagram;
  }

  // As Catcher::take.
  void take(Bytes datagram) {
    const auto opened = opener_.open(datagram);
    if (!opened) {
      ++unopened_;
      return;
    }
    const auto packet = multicast::decode(opened->packet, shape_);
    if (!packet) return;
    if (auto received = receiver_.packet(opened->sequence, *packet, now_)) {
      EXPECT_TRUE(got_.emplace(received->span, copy(ByteView(received->frame.bytes))).second);
    }
    most_ = std::max(most_, receiver_.figures().memory);
  }

  // Of the three kinds in turn; none is the true one.
  Bytes hostile(int number, const Bytes& next) {
    Bytes out = next;
    if (number % 3 == 0) {  // forged: the clear header is known to everybody
      random_.fill(MutableBytes(out).subspan(kSealHeader));
    } else if (number % 3 == 1) {
      out[random_.below(out.size())] ^= static_cast<std::byte>(1U << random_.below(8));
    } else if (!sent_.empty()) {
      return sent_[random_.below(sent_.size())];
    } else {
      out.resize(random_.below(out.size()));
    }
    return out;
  }

  const multicast::Shape shape_{kSpans, kSymbol};
  SeededRandom random_{11};
  Instant now_{1h};
  PacketSealer sealer_{key()};
  PacketOpener opener_{key()};
  multicast::Receiver receiver_{{.shape = shape_}, Bitmap(kSpans), random_, now_};
  std::uint64_t sequence_ = 0;
  std::vector<Bytes> sent_;
  std::map<std::uint32_t, Bytes> got_;
  std::size_t unopened_ = 0, most_ = 0;
};

TEST_F(Flood, AHundredHostileDatagramsForEachTrueOneCostNoByte) {
  std::size_t forged = 0, replayed = 0;
  for (std::uint32_t index = 0; index < kSpans; ++index) {
    const multicast::SampleSpan span{index, multicast::sample_frame(index, 100'000), kSymbol};
    for (std::uint32_t g = 0; g < span.layout().generations(); ++g) {
      for (std::uint32_t i = 0; i < span.layout().k(g); ++i) {
        const Bytes next = seal(span.symbol(g, i));
        for (int number = 0; number < kHostile; ++number) {
          const bool replay = number % 3 == 2 && !sent_.empty();
          (replay ? replayed : forged) += 1;
          take(hostile(number, next));
        }
        take(next);
        sent_.push_back(next);
      }
    }
  }
  EXPECT_EQ(unopened_, forged);
  EXPECT_GT(replayed, 10'000U);
  EXPECT_EQ(receiver_.figures().lost, 0U);
  EXPECT_LE(most_, multicast::kReceiverMemory);
  ASSERT_EQ(got_.size(), kSpans);
  for (const auto& [index, bytes] : got_) EXPECT_EQ(bytes, multicast::sealed_bytes(index, 100'000)) << index;
}

}  // namespace
}  // namespace stampede::net
