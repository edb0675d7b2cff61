"""A machine of its own with Debian's stock kernel, where what needs a bus, an input device or a radio is tried.

``python -m tests.hardware_vm [STORY…]`` (``just hardware-vm``) boots QEMU on this machine's own root file system, read
only, with a kernel that apt fetches, and runs ``story_<name>.py`` with pytest in it, as root. Nothing of this machine
is changed: what the guest writes lies in its memory and is gone with it.
"""
