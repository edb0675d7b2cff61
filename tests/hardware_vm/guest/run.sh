#!/bin/sh
# In the machine, as root: make it a usable one, run the story that the kernel's line names, switch off.
of() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline; }
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8
mount -t tmpfs tmpfs /run
mkdir -p /dev/pts /dev/shm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tracefs tracefs /sys/kernel/tracing
mount --bind "$(of modules)" /lib/modules
ip link set lo up
cd "$(of clone)" || exit
uname -sr >/out/log
"$(of python)" -m pytest -q -rA -p no:cacheprovider --color=no "tests/hardware_vm/story_$(of story).py" >>/out/log 2>&1
echo $? >/out/status
sync
echo o >/proc/sysrq-trigger
sleep 5
