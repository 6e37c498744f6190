// UDP to and from a multicast group, many packets at a time: they leave through UDP_SEGMENT and arrive through UDP_GRO where
// kernel and device have it (a packet a call is a fortieth of the speed on a veth), one by one where not.
//
// Interfaces are named by their index: a machine has several, and the routing table says nothing about where a group is
// heard. 0 leaves it to the routing table.
#pragma once

#include <functional>
#include <memory>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "transport/net/endpoint.h"
#include "transport/net/loop.h"

namespace stampede::net {

// Of the interface that has this numeric address; 0 if none has.
unsigned interface_of(const std::string& address);
// Error: usage, naming those that there are.
Result<unsigned> interface_named(const std::string& name);
std::string name_of_interface(unsigned index);
// Bytes of an IP packet; 1500 if it cannot be told.
std::size_t mtu_of(unsigned index);

// Of IP and UDP, before the datagram.
std::size_t header_size(const Endpoint& group);
// Error: usage, where it is not a numeric multicast address.
Result<> check_group(const Endpoint& group);

class GroupSender {
 public:
  // Errors: usage, where group, interface or ttl cannot be had, with the cure.
  static Result<std::unique_ptr<GroupSender>> open(const Endpoint& group, unsigned interface, unsigned ttl);
  virtual ~GroupSender() = default;
  // `packets` holds packets of `size` bytes, one after another (the last may be shorter), 64 at most and below 64 KiB
  // together. False: the socket has no room, nothing was sent; try again in a moment. What the network refuses otherwise
  // counts as sent: it is lost like any packet.
  virtual bool send(ByteView packets, std::size_t size) = 0;
};

class GroupReceiver {
 public:
  // `take` gets each datagram, which it may alter, on the loop's thread; after it returns false nothing is read until
  // resume(). Errors: usage, where group or interface cannot be had, with the cure.
  using Take = std::function<bool(MutableBytes datagram)>;
  static Result<std::unique_ptr<GroupReceiver>> open(Loop& loop, const Endpoint& group, unsigned interface, Take take);
  virtual ~GroupReceiver() = default;  // on the loop's thread
  virtual void resume() = 0;
  // Share of the socket's buffer that is taken by what was not read yet.
  virtual double fill() const = 0;
  // What the machine's settings make of it, with the cure; empty: nothing is wrong.
  virtual std::string trouble() const = 0;
};

}  // namespace stampede::net
