//! A namespace with a TUN device, and the packets of that device.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Before each packet: virtio's header, which says how far its checksums and segments are still to be made.
const HEADER_BYTES: usize = 10;
/// The longest packet and its header.
pub const MOST_BYTES: usize = HEADER_BYTES + (64 << 10);

const MTU: libc::c_int = 1500;
/// Packets that the kernel keeps until they are fetched: more than any window here, so that none is lost.
const QUEUE_PACKETS: libc::c_int = 100_000;
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
const OFFLOAD_CHECKSUM: libc::c_ulong = 1;
const OFFLOAD_TCP4: libc::c_ulong = 2;
const NAME: &[u8] = b"road";

pub struct Device {
    file: File,
    /// For whoever wants to enter it.
    pub namespace: PathBuf,
}

impl Device {
    /// The calling thread is in the new namespace from then on. The loopback device there is up as well.
    ///
    /// # Errors
    /// Where it is not permitted to make namespaces, or the system has no TUN devices.
    pub fn in_new_namespace(address: Ipv4Addr) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        done(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map_err(|error| about("a network namespace", &error))?;
        // What the kernel calls this namespace, whichever thread lives on.
        let own = File::open("/proc/thread-self/ns/net")?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(|error| about("/dev/net/tun", &error))?;
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request(file.as_raw_fd(), TUNSETIFF, NAME, |device| {
            device.ifru_flags = flags as libc::c_short
        })
        .map_err(|error| about("a TUN device", &error))?;
        // SAFETY: the request takes a number and no memory.
        done(unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, OFFLOAD_CHECKSUM | OFFLOAD_TCP4) })?;

        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let socket = socket.as_raw_fd();
        request(socket, libc::SIOCSIFADDR, NAME, |device| {
            device.ifru_addr = internet(address)
        })?;
        let mask = Ipv4Addr::new(255, 255, 255, 252);
        request(socket, libc::SIOCSIFNETMASK, NAME, |device| {
            device.ifru_netmask = internet(mask)
        })?;
        request(socket, libc::SIOCSIFMTU, NAME, |device| device.ifru_mtu = MTU)?;
        request(socket, libc::SIOCSIFTXQLEN, NAME, |device| {
            device.ifru_metric = QUEUE_PACKETS
        })?;
        for name in [NAME, b"lo"] {
            let up = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
            request(socket, libc::SIOCSIFFLAGS, name, |device| device.ifru_flags = up)?;
        }
        let namespace = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), own.as_raw_fd()));
        // Open for as long as this program runs, and named by the path.
        std::mem::forget(own);
        Ok(Self { file, namespace })
    }

    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The next packet with its header, or `None` when there is none.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match io::Read::read(&mut &self.file, into) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a packet to the namespace, as if it came in. What the kernel refuses is lost, as on any road.
    pub fn send(&self, packet: &[u8]) {
        let _ = io::Write::write(&mut &self.file, packet);
    }
}

fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn internet(address: Ipv4Addr) -> libc::sockaddr {
    let [port, rest] = [[0; 2], [0; 2]];
    let [a, b, c, d] = address.octets();
    let mut data = [0; 14];
    let octets = [port[0], port[1], a, b, c, d, rest[0], rest[1]];
    for (to, octet) in data.iter_mut().zip(octets) {
        *to = octet as libc::c_char;
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: data,
    }
}

/// One request about the interface of that name.
fn request(
    descriptor: RawFd,
    number: libc::Ioctl,
    name: &[u8],
    set: impl FnOnce(&mut libc::__c_anonymous_ifr_ifru),
) -> io::Result<()> {
    // SAFETY: an ifreq of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, &letter) in request.ifr_name.iter_mut().zip(name) {
        *to = letter as libc::c_char;
    }
    set(&mut request.ifr_ifru);
    // SAFETY: every request made here reads or writes at most one ifreq, which outlives the call.
    done(unsafe { libc::ioctl(descriptor, number, &raw mut request) })
}

pub fn done(result: libc::c_int) -> io::Result<()> {
    (result >= 0).then_some(()).ok_or_else(io::Error::last_os_error)
}
