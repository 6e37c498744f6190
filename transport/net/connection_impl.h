// What listener.cpp needs of connection.cpp: for the .cpp files of this room only.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "transport/net/connection.h"

namespace stampede::net {

// `place` is held as long as the connection lives: its use_count counts them.
Connection::Ptr accept_connection(Loop& loop, boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> tls,
                                  std::shared_ptr<void> place, Connection::Events events);

}  // namespace stampede::net
