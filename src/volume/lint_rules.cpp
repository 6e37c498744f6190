#include "src/volume/lint_rules.h"

namespace stampede::volume {

namespace {

using Kind = LintRule::Kind;

constexpr LintRule kRules[] = {
    {"machine-id", Kind::files, "/var/lib/dbus", "machine-id"},
    {"ssh-host-key", Kind::files, "/etc/ssh", "ssh_host_*_key"},
    // isc-dhcp-client, dhcpcd, NetworkManager, systemd-networkd.
    {"dhcp-lease", Kind::files, "/var/lib/dhcp"},
    {"dhcp-lease", Kind::files, "/var/lib/dhcp3"},
    {"dhcp-lease", Kind::files, "/var/lib/dhclient"},
    {"dhcp-lease", Kind::files, "/var/lib/dhcpcd", "*.lease*"},
    {"dhcp-lease", Kind::files, "/var/lib/dhcpcd5", "*.lease*"},
    {"dhcp-lease", Kind::files, "/var/lib/NetworkManager", "*.lease"},
    {"dhcp-lease", Kind::files, "/run/systemd/netif/leases"},
    {"dhcp-id", Kind::files, "/var/lib/dhcpcd", "duid"},
    {"dhcp-id", Kind::files, "/var/lib/dhcpcd", "secret"},
    {"dhcp-id", Kind::files, "/etc", "dhcpcd.duid"},
    {"dhcp-id", Kind::files, "/var/lib/NetworkManager", "secret_key"},
    {"net-rule", Kind::files, "/etc/udev/rules.d", "*-persistent-net.rules"},
    {"net-hardware", Kind::hardware, "/etc/NetworkManager/system-connections"},
    {"net-hardware", Kind::hardware, "/etc/systemd/network", "*.[ln][ie]*"},  // .link, .network, .netdev
    {"net-hardware", Kind::hardware, "/etc/netplan", "*.yaml"},
    {"net-hardware", Kind::lines, "/etc/sysconfig/network-scripts", "ifcfg-*"},
    {"net-hardware", Kind::lines, "/etc/network", "interfaces"},
    {"net-hardware", Kind::lines, "/etc/network/interfaces.d"},
    {"cloud-instance", Kind::link, "/var/lib/cloud", "instance"},
    {"cloud-instance", Kind::content, "/var/lib/cloud/instances"},
    {"cloud-instance", Kind::content, "/var/lib/cloud/data"},
    {"cloud-instance", Kind::content, "/var/lib/cloud/sem"},
    {"cloud-seed", Kind::content, "/var/lib/cloud/seed"},
    {"random-seed", Kind::files, "/var/lib/systemd", "random-seed"},
    {"random-seed", Kind::files, "/var/lib/urandom", "random-seed"},
    {"random-seed", Kind::files, "/var/lib", "random-seed"},
    {"random-seed", Kind::content, "/var/lib/seedrng"},
    {"credential-secret", Kind::files, "/var/lib/systemd", "credential.secret"},
    // Salt, Puppet, ZeroTier, Red Hat's subscription, and a node of ours: each makes itself a new one.
    {"agent-id", Kind::files, "/etc/salt", "minion_id"},
    {"agent-id", Kind::files, "/etc/salt/pki/minion", "minion.p*"},
    {"agent-id", Kind::content, "/etc/puppetlabs/puppet/ssl"},
    {"agent-id", Kind::content, "/etc/puppet/ssl"},
    {"agent-id", Kind::content, "/var/lib/puppet/ssl"},
    {"agent-id", Kind::files, "/var/lib/zerotier-one", "identity.*"},
    {"agent-id", Kind::files, "/etc/pki/consumer", "*.pem"},
    {"agent-id", Kind::content, "/var/lib/stampede-node"},
    {"private-key", Kind::files, "/root/.ssh", "id_*"},
    {"storage-id", Kind::files, "/etc/iscsi", "initiatorname.iscsi"},
    {"storage-id", Kind::files, "/etc/nvme", "host[in]*"},
};

}  // namespace

std::span<const LintRule> lint_rules() { return kRules; }

}  // namespace stampede::volume
