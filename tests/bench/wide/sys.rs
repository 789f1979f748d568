//! The one place with `unsafe`: the two calls that make a descriptor of `/dev/net/tun` a network interface.
#![allow(unsafe_code, reason = "there is no safe call for these requests")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use nix::libc::{self, c_char, c_int, c_short};

/// Bytes before each packet: the kernel's `struct virtio_net_hdr`, which says where a large packet is to be cut and where its
/// checksum goes. Who hands a packet on unchanged hands this on unchanged.
pub(crate) const HEADER: usize = 10;

mod request {
    nix::ioctl_write_ptr_bad!(set_interface, nix::libc::TUNSETIFF, nix::libc::ifreq);
    nix::ioctl_write_int_bad!(set_offload, nix::libc::TUNSETOFFLOAD);
}

/// Makes a TUN interface in the network namespace of this thread; it lives as long as the file. Reads and writes are IP packets
/// behind a [`HEADER`], which the kernel may leave as large as TCP made them.
///
/// # Errors
/// No device, no right to it, or a name that is taken or too long.
pub(crate) fn interface(name: &str) -> io::Result<File> {
    let mut letters: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    // The last one stays 0.
    for (letter, byte) in letters[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *letter = c_char::try_from(byte).map_err(io::Error::other)?;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let flags = c_short::try_from(flags).map_err(io::Error::other)?;
    let wanted = libc::ifreq { ifr_name: letters, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } };
    let offload = c_int::try_from(libc::TUN_F_CSUM | libc::TUN_F_TSO4).map_err(io::Error::other)?;
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: the descriptor is open, and the request's argument is an `ifreq` that outlives the call; the kernel reads its name and
    // its flags and writes the name.
    unsafe { request::set_interface(file.as_raw_fd(), &raw const wanted) }?;
    // SAFETY: the descriptor is open, and the request's argument is a number.
    unsafe { request::set_offload(file.as_raw_fd(), offload) }?;
    Ok(file)
}
