// The control and unicast protocol, version 1: frames over TLS 1.3 between a target and the depot, and between targets.
//
// Frame:  0  4  payload length n, at most kMaxPayload     4  1  type     5  3  zero     8  n  payload
// Integers little-endian; text and byte strings are a u32 length and that many bytes; a list is a u32 count and the items; a
// bool is a byte, 0 or 1; an array is its bytes. Fields stand in the order of the structs below, nothing between them. Text
// has no control characters. A span index is below kMaxSpans; bits of a bitmap past its end are zero.
// Every count and length has a limit, checked before anything is allocated. The first frame each way is Hello; the version
// spoken is the smaller of the two max_version, and neither side goes on if that is below the other's min_version. Unknown
// types are an error: new ones come with a new version or a feature bit.
//
// A connection to the depot without a node certificate may say Hello and Enrol, nothing else.
#pragma once

#include <array>
#include <string>
#include <variant>
#include <vector>

#include "src/base/buffer.h"
#include "src/base/bytes.h"
#include "src/base/error.h"

namespace stampede::wire {

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::size_t kMaxPayload = std::size_t{17} << 20;  // an object (16 MiB) and its header; all else is far less
inline constexpr std::uint16_t kMinVersion = 1;
inline constexpr std::uint16_t kMaxVersion = 1;
inline constexpr std::size_t kMaxSpans = std::size_t{1} << 24;  // bitmaps: at most 2 MiB
inline constexpr std::size_t kMaxSpanParts = 4096;
inline constexpr std::size_t kMaxSpanBytes = std::size_t{1} << 20;  // sealed bytes of one span: never above its plain bytes
inline constexpr std::size_t kMaxMembers = 4096;
inline constexpr std::size_t kMaxRuns = 1024;
inline constexpr std::size_t kMaxLacks = 4096;
inline constexpr std::size_t kMaxGivenUp = 65536;
inline constexpr std::size_t kMaxChunkRuns = 65536;
inline constexpr std::size_t kMaxRescue = std::size_t{4} << 20;
inline constexpr std::size_t kMaxOffer = 4096;
inline constexpr std::size_t kMaxPushParts = 1024;
// Sealed bytes of one frame, and plain bytes of one chunk; plain bytes of one frame.
inline constexpr std::size_t kMaxPushBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxPushPlain = std::size_t{16} << 20;

// Hello::features: what the sender understands beyond version 1.
inline constexpr std::uint64_t kPartialSpans = 1;  // Partial, and SpanData with parts left out
inline constexpr std::uint64_t kRescue = 2;        // a depot: RescueFile
inline constexpr std::uint64_t kReceipts = 4;      // a depot: FindReceipt
inline constexpr std::uint64_t kTooSlow = 8;       // a target: StreamEnd::too_slow
inline constexpr std::uint64_t kPush = 16;         // a depot: PushStart, and what follows it

using Digest = std::array<std::byte, 32>;
using Key = std::array<std::byte, 32>;

// type 1. magic is "STMP" on the wire.
struct Hello {
  std::uint16_t min_version = kMinVersion;
  std::uint16_t max_version = kMaxVersion;
  std::uint64_t features = 0;
  std::string software;  // at most 64 bytes, for people
  bool operator==(const Hello&) const = default;
};
// 2. A refusal or failure; the connection may go on after it where the asker can.
struct ErrorMessage {
  std::uint8_t code = 0;  // stampede::Code
  std::string text;       // at most 1024 bytes
  bool operator==(const ErrorMessage&) const = default;
};
// 3. The secret of a join token and a PKCS #10 request (DER, at most 4096).
struct Enrol {
  std::array<std::byte, 32> secret{};
  Bytes request;
  bool operator==(const Enrol&) const = default;
};
// 4. DER, at most 4096 each.
struct Enrolled {
  Bytes certificate;
  Bytes authority;
  bool operator==(const Enrolled&) const = default;
};
// 5. Asks for a tag record; answered by TagRecordMessage or ErrorMessage(not_found). A tag of '@' and hex digits asks for
// any of the image whose id begins so, an empty name then for one of any name (chunker/image_name.h).
struct Resolve {
  std::string name;  // at most 63
  std::string tag;   // at most 63
  bool operator==(const Resolve&) const = default;
};
// 6.
struct TagRecordMessage {
  Bytes record;  // at most 64 KiB
  Key signer{};
  std::array<std::byte, 64> signature{};
  bool operator==(const TagRecordMessage&) const = default;
};
// 7. Asks for manifest records by id (at most 64 in one frame); answered by as many Object or ErrorMessage frames, in order.
struct Fetch {
  std::vector<Digest> ids;
  bool operator==(const Fetch&) const = default;
};
// 8. A sealed chunk on its own.
struct Object {
  Digest id{};
  std::uint8_t codec = 0;
  std::uint32_t plain_size = 0;
  Bytes sealed;  // at most 16 MiB
  bool operator==(const Object&) const = default;
};
// 9. To the depot: I am writing this image and serve peers at this port (0: not at all). To a peer: the same, port unused.
// The bitmap (bit i of byte i/8) says which spans the sender holds.
struct Join {
  Digest image{};
  std::uint16_t port = 0;
  std::uint32_t span_count = 0;
  Bytes have;  // (span_count + 7) / 8 bytes
  bool operator==(const Join&) const = default;
};
struct Member {
  Key node{};
  std::string address;  // numeric, at most 45
  std::uint16_t port = 0;
  bool operator==(const Member&) const = default;
};
// 10. From the depot, at joining and at every change: the other members of the swarm that serve, and how many members
// (the receiver counted) are still active, that is not finished and heard of in the last 10 s.
struct Members {
  std::vector<Member> members;
  std::uint32_t active = 0;
  bool operator==(const Members&) const = default;
};
// 11. Spans that the sender now holds and serves.
struct Have {
  std::vector<std::uint32_t> spans;  // at most 65536
  bool operator==(const Have&) const = default;
};
// 12. To the depot: send me up to `count` spans more, whichever serve the swarm best. Answered by SpanData frames, and by
// NoneLeft for what the depot would rather see come from peers.
struct WantAny {
  std::uint16_t count = 0;
  bool operator==(const WantAny&) const = default;
};
// 13. To the depot: of what WantAny asked, `count` will not come now.
struct NoneLeft {
  std::uint16_t count = 0;
  bool operator==(const NoneLeft&) const = default;
};
// 14. Asks for one span; answered by SpanData or NotHeld.
struct Request {
  std::uint32_t span = 0;
  bool operator==(const Request&) const = default;
};
// 15. A part of no size is one that the asker holds (Partial).
struct SpanPart {
  std::uint8_t codec = 0;
  std::uint32_t sealed_size = 0;
  bool operator==(const SpanPart&) const = default;
};
struct SpanData {
  std::uint32_t span = 0;
  std::vector<SpanPart> parts;
  Buffer bytes;  // their sum
  bool operator==(const SpanData&) const = default;
};
// 16.
struct NotHeld {
  std::uint32_t span = 0;
  bool operator==(const NotHeld&) const = default;
};
// 17. From a target, every second and at every change of stage: also the sign of life.
struct Progress {
  std::uint8_t stage = 0;   // index into the stages of a deployment
  bool finished = false;    // wants nothing more from the swarm
  std::uint64_t total = 0;  // plain bytes of data
  std::uint64_t verified = 0;
  std::uint64_t durable = 0;
  bool operator==(const Progress&) const = default;
};
// 18. The node served bytes that are not what the manifest says.
struct BadPeer {
  Key node{};
  std::uint32_t span = 0;
  bool operator==(const BadPeer&) const = default;
};
// 19. JSON as signed (at most 256 KiB). Answered by ReceiptStored or ErrorMessage.
struct Receipt {
  Bytes receipt;
  std::array<std::byte, 64> signature{};
  bool operator==(const Receipt&) const = default;
};
// 20.
struct ReceiptStored {
  std::uint64_t number = 0;
  bool operator==(const ReceiptStored&) const = default;
};
// 21, 22. Sign of life between peers, and for measuring the round trip.
struct Ping {
  std::uint64_t token = 0;
  bool operator==(const Ping&) const = default;
};
struct Pong {
  std::uint64_t token = 0;
  bool operator==(const Pong&) const = default;
};

// 23. From the depot, at joining: the image is also sent by multicast (transport/multicast), to this group and port; its
// packets are sealed with this key (transport/net/packet_seal.h). A stream lives as long as its key.
struct MulticastOffer {
  std::string group;  // numeric, at most 45
  std::uint16_t port = 0;
  std::uint32_t stream = 0;
  std::array<std::byte, 16> key{};
  std::array<std::byte, 4> salt{};
  std::uint16_t symbol_size = 0;
  bool operator==(const MulticastOffer&) const = default;
};
// 24. From a target that listens to it; the first one says that it does. transport/multicast/report.h says what they mean.
struct SpanRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool operator==(const SpanRun&) const = default;
};
struct SymbolLack {
  std::uint32_t span = 0;
  std::uint8_t generation = 0;
  std::uint8_t missing = 0;
  bool operator==(const SymbolLack&) const = default;
};
struct MulticastReport {
  std::uint64_t sequence = 0;
  std::uint16_t loss = 0;  // of 65,536
  std::uint16_t backlog = 0;
  std::vector<SpanRun> settled;   // at most kMaxRuns
  std::vector<SymbolLack> lacks;  // at most kMaxLacks
  bool operator==(const MulticastReport&) const = default;
};
// 25. To a target that listens: how to report from now on, spans that it lacks and will not get this way, and whether the
// stream brings it nothing more at all: since it is over, or since the target does not keep up with the others.
enum class StreamEnd : std::uint8_t { none, over, too_slow };
struct MulticastNews {
  std::uint16_t eager = 0;              // share of the members that report quickly, of 65,535
  std::uint64_t quick = 0;              // microseconds, at most an hour
  std::uint64_t slow = 0;               // the same
  std::vector<std::uint32_t> given_up;  // at most kMaxGivenUp
  StreamEnd end = StreamEnd::none;
  bool operator==(const MulticastNews&) const = default;
};

// 26. To the depot and to peers, after Join, where both sides know kPartialSpans: of the spans that `lacks` names the sender
// holds all chunks but those, and SpanData may leave the others out. Replaces what was said before.
struct ChunkRun {
  std::uint32_t span = 0;
  std::uint16_t first = 0;  // chunk of the span
  std::uint16_t count = 0;
  bool operator==(const ChunkRun&) const = default;
};
struct Partial {
  std::vector<ChunkRun> lacks;  // at most kMaxChunkRuns, by span and chunk, apart from each other
  bool operator==(const Partial&) const = default;
};

// 27. To the depot: the newest receipt of a success whose disk says all of this; the path counts where it says neither
// serial nor WWN. Answered by Receipt or ErrorMessage(not_found).
struct FindReceipt {
  std::string guid;    // at most 64
  std::string serial;  // at most 512, as are the others
  std::string wwn;
  std::string path;
  std::uint64_t size = 0;
  bool operator==(const FindReceipt&) const = default;
};

// 28. To a depot that knows kRescue: what a disk held where the deployment will write first (src/disk/rescue.h). Answered by
// RescueStored or ErrorMessage.
struct RescueFile {
  std::array<std::byte, 16> deployment{};
  Bytes file;  // at most kMaxRescue
  bool operator==(const RescueFile&) const = default;
};
// 29.
struct RescueStored {
  std::uint64_t size = 0;  // of the file
  bool operator==(const RescueStored&) const = default;
};

// 30. To a depot that knows kPush, from a node that may push: an image is to come under this name. Begins anew what was
// begun on this line before; chunks that were kept stay. Answered by PushReady or ErrorMessage.
struct PushStart {
  std::string name;   // at most 63
  std::string tag;    // at most 63
  Digest image{};     // zeros where it is not known before its end (a disk that is still to be read)
  bool move = false;  // the name may be another image, and is this one afterwards
  bool sign = false;  // the sender has no signing key: the depot is to sign
  bool operator==(const PushStart&) const = default;
};
// 31.
struct PushReady {
  std::uint32_t offers = 0;  // chunks that may be offered and not yet sent
  bool operator==(const PushReady&) const = default;
};
// 32. Which of these does the depot lack? Answered by PushLacks or ErrorMessage.
struct PushOffer {
  std::vector<Digest> ids;  // at most kMaxOffer
  bool operator==(const PushOffer&) const = default;
};
// 33. Bit i of byte i/8: the depot lacks the i-th that was offered, and expects it.
struct PushLacks {
  std::uint32_t count = 0;  // at most kMaxOffer
  Bytes lacks;              // (count + 7) / 8 bytes
  bool operator==(const PushLacks&) const = default;
};
// 34. Chunks that the depot lacks; at most kMaxPushBytes plain bytes each, kMaxPushPlain together. Answered by PushKept or
// ErrorMessage.
struct PushPart {
  Digest id{};
  std::uint8_t codec = 0;
  std::uint32_t plain_size = 0;
  std::uint32_t sealed_size = 0;
  bool operator==(const PushPart&) const = default;
};
struct PushChunks {
  std::vector<PushPart> parts;  // at most kMaxPushParts
  Buffer bytes;                 // their sealed bytes, one after another
  bool operator==(const PushChunks&) const = default;
};
// 35. How many of them were new. Durable, all that were kept, with the answer to PushEnd.
struct PushKept {
  std::uint32_t chunks = 0;
  bool operator==(const PushKept&) const = default;
};
// 36. All is sent. The record of the name; where the depot is to sign, what it should say (the depot sets who sent it and
// when), and zeros. Answered by TagRecordMessage, the record as the depot has it now, or ErrorMessage.
struct PushEnd {
  Bytes record;  // at most 64 KiB
  Key signer{};
  std::array<std::byte, 64> signature{};
  bool operator==(const PushEnd&) const = default;
};

// In the order of their types, from 1.
using Message = std::variant<Hello, ErrorMessage, Enrol, Enrolled, Resolve, TagRecordMessage, Fetch, Object, Join, Members,
                             Have, WantAny, NoneLeft, Request, SpanData, NotHeld, Progress, BadPeer, Receipt, ReceiptStored,
                             Ping, Pong, MulticastOffer, MulticastReport, MulticastNews, Partial, FindReceipt, RescueFile,
                             RescueStored, PushStart, PushReady, PushOffer, PushLacks, PushChunks, PushKept, PushEnd>;

// A whole frame, header included; decode() takes every frame that this makes. Words for people (Hello::software,
// ErrorMessage::text) are cut to their limit and cleaned of control characters; any other field outside its limits is a
// programmer error (std::invalid_argument), so check what comes from users or the network first.
Bytes encode(const Message& message);
// For SpanData, the frame without the sealed bytes: they follow from where they lie, uncopied. Limits as for encode().
Bytes encode_span_header(std::uint32_t span, std::span<const SpanPart> parts, std::size_t sealed_bytes);

struct FrameHeader {
  std::uint8_t type = 0;
  std::uint32_t payload = 0;
};
// From the first kHeaderSize bytes. Errors: protocol (unknown type, payload outside that type's own bounds, non-zero
// padding).
Result<FrameHeader> decode_header(ByteView header);
// Takes the payload over: a span's sealed bytes stay where they were received. Errors: protocol, naming the message and what
// is wrong.
Result<Message> decode(const FrameHeader& header, Buffer payload);

// The agreed version. Error: protocol, naming both ranges.
Result<std::uint16_t> agree(const Hello& ours, const Hello& theirs);

}  // namespace stampede::wire
