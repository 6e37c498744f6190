// How a connection to the depot's HTTP side is made: for the .cpp files of this room only.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "src/service/http_session.h"

namespace stampede::service {

// On a strand of its own, which the socket has. `gone` is called once, from there, when nothing of it is left to come.
std::shared_ptr<HttpSession> make_http_session(boost::asio::ip::tcp::socket socket, std::string from, HttpContent& content,
                                               Duration head_patience, HttpSession::Gone gone);

}  // namespace stampede::service
