// What listener.cpp needs of connection.cpp: for the .cpp files of this room only.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "transport/net/connection.h"

namespace stampede::net {

Connection::Ptr accept_connection(Loop& loop, boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> tls,
                                  Line line, Connection::Events events);
// Of an accepted connection: `place` is held as long as it lives, so its use_count counts them.
void hold_place(Connection& accepted, std::shared_ptr<void> place);

}  // namespace stampede::net
