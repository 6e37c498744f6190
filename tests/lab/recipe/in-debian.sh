# Inside the new Debian, before it becomes a template.
update-initramfs -u
passwd -l root
systemctl enable systemd-networkd systemd-resolved console-report 2>/dev/null || systemctl enable systemd-networkd console-report
# Nothing of this belongs into the first minute of a template's life.
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer
printf 'LABEL=root / ext4 defaults,errors=remount-ro 0 1\n' >/etc/fstab
echo template >/etc/hostname
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
