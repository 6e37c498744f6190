#include "src/firstboot/instance.h"

#include <gtest/gtest.h>

#include "tests/volume/images.h"

namespace stampede::firstboot {
namespace {

const std::string kKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f operator@desk";

std::string error_of(std::string_view yaml) {
  const auto got = parse_instance(yaml);
  if (got) return "no error";
  EXPECT_EQ(got.error().code, Code::usage);
  EXPECT_EQ(got.error().message.find('\n'), std::string::npos);
  return got.error().message;
}

TEST(Instance, AllMembers) {
  const auto got = parse_instance(
      "hostname: Web-1.Example.org\nroles: [base, web]\nnetwork:\n  network: {version: 2, ethernets: "
      "{id0: {dhcp4: true}}}\nssh_keys:\n  - " +
      kKey + "\nuser_data: |\n  #cloud-config\n  packages: [x]\n");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->hostname, "web-1.example.org");
  EXPECT_EQ(got->roles, (std::vector<std::string>{"base", "web"}));
  EXPECT_EQ(got->network, "version: 2\nethernets:\n  id0:\n    dhcp4: true\n");
  EXPECT_EQ(got->ssh_keys, std::vector<std::string>{kKey});
  EXPECT_EQ(got->user_data, "#cloud-config\npackages: [x]\n");
  EXPECT_FALSE(got->empty());
}

TEST(Instance, NothingIsAnEmptyInstance) {
  for (const char* text : {"", "\n", "---\n", "~", "# only a comment\n", "{}", "hostname:\nroles: ~\n"}) {
    const auto got = parse_instance(text);
    ASSERT_TRUE(got) << text << ": " << got.error().message;
    EXPECT_TRUE(got->empty());
  }
}

TEST(Instance, ErrorsSayWhere) {
  EXPECT_EQ(
      error_of("hostname: a\nhostnam: b\n"),
      "the instance file: line 2, column 1: unknown member 'hostnam'; known are hostname, roles, network, ssh_keys and "
      "user_data");
  EXPECT_NE(error_of("hostname: a\nroles: [base, Web]\n").find("line 2, column 15"), std::string::npos);
  EXPECT_NE(error_of("hostname: a\nhostname: b\n").find("line 2, column 1: 'hostname' stands here twice"),
            std::string::npos);
  EXPECT_NE(error_of("hostname: [a\n").find("line "), std::string::npos);
  EXPECT_NE(error_of("- a\n").find("is a map"), std::string::npos);
  EXPECT_NE(error_of("hostname: a\n---\nhostname: b\n").find("second YAML document"), std::string::npos);
  EXPECT_NE(error_of("hostname: !secret a\n").find("tags"), std::string::npos);
  EXPECT_NE(error_of("roles: web\n").find("must be a list"), std::string::npos);
  EXPECT_NE(error_of("hostname: {a: b}\n").find("must be a word"), std::string::npos);
  EXPECT_NE(error_of("[a]: b\n").find("line 1"), std::string::npos);
  EXPECT_NE(error_of("network: {version: 1}\n").find("version must be 2"), std::string::npos);
}

TEST(Instance, HostileYaml) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'z'; ++c)
    bomb += fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, static_cast<char>(c - 1));
  EXPECT_NE(error_of(bomb).find("aliases"), std::string::npos);
  EXPECT_NE(error_of("a: &a [*a]\n").find("aliases"), std::string::npos);
  for (const char* unit : {"[", "{a: ", "- ", "? ", "{", "[[", "- [", "!a ", "&a "}) {
    std::string deep;
    while (deep.size() < 500'000) deep += unit;
    EXPECT_NE(error_of(deep), "no error") << unit;
  }
  std::string indented;
  for (int i = 0; i < 1000; ++i) indented += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_NE(error_of(indented).find("deeper"), std::string::npos);
  std::string wide = "roles: [";
  for (int i = 0; i < 70'000; ++i) wide += "a,";
  EXPECT_NE(error_of(wide + "a]").find("values"), std::string::npos);
  EXPECT_NE(error_of(std::string((1 << 20) + 1, ' ')).find("larger"), std::string::npos);
  EXPECT_NE(error_of(std::string("host\0name: a", 12)), "no error");
}

TEST(Hostname, Rfc1123) {
  EXPECT_EQ(check_hostname("WEB-1").value(), "web-1");
  EXPECT_EQ(check_hostname("a.b.example").value(), "a.b.example");
  EXPECT_EQ(check_hostname("7").value(), "7");
  EXPECT_TRUE(check_hostname(std::string(63, 'a')));
  const std::string longest =
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');
  EXPECT_TRUE(check_hostname(longest));
  for (const std::string& bad : {std::string(), std::string("-a"), std::string("a-"), std::string("a_b"), std::string("a."),
                                 std::string(".a"), std::string("a..b"), std::string("10.0.0.1"), std::string("a b"),
                                 std::string("ä"), std::string(64, 'a'), longest + "d", std::string("a\nb")})
    EXPECT_FALSE(check_hostname(bad)) << bad;
}

TEST(Role, Charset) {
  for (const char* good : {"web", "0", "a.b_c-d"}) EXPECT_EQ(check_role(good).value(), good);
  for (const char* bad : {"", "-a", ".a", "Web", "a/b", "a b", "../x"}) EXPECT_FALSE(check_role(bad)) << bad;
  EXPECT_FALSE(check_role(std::string(65, 'a')));
}

TEST(SshKeys, AuthorizedKeys) {
  const std::string options = "no-pty,command=\"echo \\\"a b\\\"\" " + kKey;
  const auto got = parse_ssh_keys("# comment\n\n  " + kKey + "  \r\n" + options + "\n");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, (std::vector<std::string>{kKey, options}));
  EXPECT_TRUE(parse_ssh_keys("")->empty());
  for (const std::string& bad : {std::string("ssh-ed25519"), std::string("ssh-ed25519 AAAA x"), std::string("ssh-dss AAAA"),
                                 "ssh-rsa" + kKey.substr(11), std::string("-----BEGIN OPENSSH PRIVATE KEY-----"),
                                 kKey.substr(0, 60), "ssh-ed25519 \x1b" + kKey.substr(12)})
    EXPECT_FALSE(parse_ssh_keys(bad)) << bad;
  EXPECT_NE(parse_ssh_keys(kKey + "\nnonsense\n").error().message.find("line 2"), std::string::npos);
}

TEST(Network, KeepsContent) {
  const std::string text =
      "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    id0:\n      match: {macaddress: "
      "\"52:54:00:12:34:00\"}\n"
      "      addresses: [192.168.1.10/24, 'fd00::1/64']\n      mtu: 9000\n      optional: true\n      dhcp4: \"no\"\n"
      "      nameservers: {search: [], addresses: ~}\n      set-name: \"it's \\\"x\\\"\"\n  vlans: {}\n";
  const auto got = parse_network(text);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_NE(got->find("macaddress: \"52:54:00:12:34:00\""), std::string::npos) << *got;
  EXPECT_NE(got->find("dhcp4: \"no\""), std::string::npos) << *got;
  EXPECT_NE(got->find("mtu: 9000"), std::string::npos) << *got;
  EXPECT_EQ(parse_network(*got).value(), *got);
}

// What cloud-init and netplan read YAML with.
TEST(Network, PyYamlReadsTheSame) {
  if (volume::run("python3 -c 'import yaml'").code != 0) GTEST_SKIP() << "needs python3 with PyYAML";
  const std::string text =
      "version: 2\nethernets:\n  e0: {match: {macaddress: \"52:54:00:12:34:00\", name: 'en*'}, mtu: 1500, a: 0x10, b: 1e3, "
      "c: '7',\n"
      "    d: yes, e: 'yes', f: 010, g: 1:30, h: \"\", i: '~', j: null, k: \"tab\\there \\u00e9 \\x07\", l: 'a: b # c', m: "
      "-1,\n"
      "    n: a b  c, o: .5, p: +1, q: '- x', r: 2001-01-01, s: \"{}\", t: \"*x\", u: 'line one\n\n      line two', v: é}\n";
  const auto got = parse_network(text);
  ASSERT_TRUE(got) << got.error().message;
  const volume::Scratch scratch;
  volume::put(scratch / "in", text);
  volume::put(scratch / "out", *got);
  const auto ran =
      volume::run(fmt::format("cd {} && python3 -c 'import yaml; a, b = (yaml.safe_load(open(n, encoding=\"utf-8\")) for n "
                              "in (\"in\", \"out\")); print(a, b) if a != b else 0; exit(a != b)'",
                              scratch.path().string()));
  EXPECT_EQ(ran.code, 0) << ran.output << *got;
}

TEST(Network, Refuses) {
  const auto error = [](std::string_view text) {
    const auto got = parse_network(text);
    return got ? "no error" : got.error().message;
  };
  EXPECT_NE(error("version: 1\n").find("line 1, column 10"), std::string::npos);
  EXPECT_NE(error("ethernets: {}\n").find("no version"), std::string::npos);
  EXPECT_NE(error("version: 2\nethernet: {}\n").find("no 'ethernet'"), std::string::npos);
  EXPECT_NE(error("version: 2\nethernets: [a]\n").find("map of names"), std::string::npos);
  EXPECT_NE(error("network: {version: 2}\nversion: 2\n").find("nothing else"), std::string::npos);
  EXPECT_NE(error("network: {network: {version: 2}}\n").find("second 'network:'"), std::string::npos);
  EXPECT_NE(error(""), "no error");
  EXPECT_NE(error("[]"), "no error");
}

TEST(UserData, WhatCloudInitActsOn) {
  for (const char* good : {"#cloud-config\n", "#!/bin/sh\n", "Content-Type: multipart/mixed\n"})
    EXPECT_TRUE(check_user_data(good));
  for (const char* bad : {"", "packages: [x]\n", " #cloud-config\n"}) EXPECT_FALSE(check_user_data(bad)) << bad;
  EXPECT_NE(error_of("hostname: a\nuser_data: x\n").find("line 2"), std::string::npos);
}

TEST(SshKeys, RealOnes) {
  if (!volume::have("ssh-keygen")) GTEST_SKIP() << "needs ssh-keygen";
  const volume::Scratch scratch;
  for (const char* type : {"ed25519", "rsa -b 2048", "ecdsa -b 521"}) {
    const auto ran = volume::run(fmt::format("cd {0} && rm -f k k.pub && ssh-keygen -q -N '' -t {1} -f k && cat k.pub",
                                             scratch.path().string(), type));
    ASSERT_EQ(ran.code, 0) << ran.output;
    const auto got = parse_ssh_keys(ran.output);
    ASSERT_TRUE(got) << type << ": " << got.error().message;
    EXPECT_EQ(got->size(), 1U);
    EXPECT_FALSE(parse_ssh_keys(volume::run("cat " + (scratch / "k").string()).output));
  }
}

TEST(Merge, FlagsWinAndListsGrow) {
  const Instance file{.hostname = "file", .roles = {"a", "b"}, .network = "n", .ssh_keys = {"k1"}, .user_data = "u"};
  const Instance flags{.hostname = "flag", .roles = {"b", "c"}, .network = {}, .ssh_keys = {"k2"}, .user_data = {}};
  const Instance got = merge(file, flags);
  EXPECT_EQ(got.hostname, "flag");
  EXPECT_EQ(got.roles, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(got.network, "n");
  EXPECT_EQ(got.ssh_keys, (std::vector<std::string>{"k1", "k2"}));
  EXPECT_EQ(got.user_data, "u");
}

}  // namespace
}  // namespace stampede::firstboot
