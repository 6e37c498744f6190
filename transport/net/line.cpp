#include "transport/net/line.h"

#include <type_traits>

#include "transport/wire/messages.h"

namespace stampede::net {

namespace {

using TypeSet = std::uint64_t;
static_assert(std::variant_size_v<wire::Message> < 64);

template <class M, std::size_t I = 0>
consteval unsigned type_of() {
  if constexpr (std::is_same_v<M, std::variant_alternative_t<I, wire::Message>>)
    return I + 1;
  else
    return type_of<M, I + 1>();
}

template <class... M>
constexpr TypeSet kTypes = (... | (TypeSet{1} << type_of<M>()));

constexpr TypeSet kCommon = kTypes<wire::Hello, wire::ErrorMessage, wire::Ping, wire::Pong>;
constexpr TypeSet kFromStranger = kTypes<wire::Hello, wire::ErrorMessage, wire::Enrol>;
constexpr TypeSet kFromNode =
    kCommon | kTypes<wire::Enrol, wire::Resolve, wire::Fetch, wire::Join, wire::Have, wire::WantAny, wire::Request,
                     wire::Progress, wire::BadPeer, wire::Receipt, wire::MulticastReport, wire::Partial, wire::FindReceipt,
                     wire::RescueFile, wire::PushStart, wire::PushOffer, wire::PushChunks, wire::PushEnd>;
constexpr TypeSet kFromDepot =
    kCommon | kTypes<wire::Enrolled, wire::TagRecordMessage, wire::Object, wire::Members, wire::NoneLeft, wire::SpanData,
                     wire::NotHeld, wire::Receipt, wire::ReceiptStored, wire::RescueStored, wire::MulticastOffer,
                     wire::MulticastNews, wire::PushReady, wire::PushLacks, wire::PushKept>;
constexpr TypeSet kFromPeer =
    kCommon | kTypes<wire::Join, wire::Have, wire::Request, wire::SpanData, wire::NotHeld, wire::Partial>;

TypeSet expected(Line line, bool identified) {
  switch (line) {
    case Line::from_node:
      return identified ? kFromNode : kFromStranger;
    case Line::to_depot:
      return kFromDepot;
    case Line::peers:
      return kFromPeer;
  }
  return 0;
}

}  // namespace

bool may_arrive(Line line, std::uint8_t frame_type, bool identified) {
  return frame_type < 64 && (expected(line, identified) >> frame_type & 1U) != 0;
}

}  // namespace stampede::net
