//! When an answer arrived, by the kernel's clock. Who measures wakes up now and then: what lay in the socket meanwhile had
//! reached the customer already. Linux tells; elsewhere an answer arrives when it is read.

use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Has the kernel note when bytes arrive.
#[cfg(target_os = "linux")]
pub(super) fn note(stream: &TcpStream) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    Ok(setsockopt(stream, ReceiveTimestampns, &true)?)
}

/// Reads into a buffer: how many bytes, and for how long the last of them had been there.
#[cfg(target_os = "linux")]
pub(super) async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Duration)> {
    loop {
        stream.readable().await?;
        let mut read = None;
        let tried = stream.try_io(tokio::io::Interest::READABLE, || {
            let (n, lay) = receive(stream, buffer)?;
            read = Some((n, lay));
            // As in tokio's own reads: what leaves room was all there is, and nobody asks again before more arrives.
            if n == 0 || n == buffer.len() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        });
        match (read, tried) {
            (Some(read), _) => return Ok(read),
            (None, Err(e)) if e.kind() != io::ErrorKind::WouldBlock => return Err(e),
            (None, _) => {}
        }
    }
}

#[cfg(target_os = "linux")]
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Duration)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::AsRawFd;
    use std::time::UNIX_EPOCH;

    let (mut told, mut into) = (nix::cmsg_space!(nix::sys::time::TimeSpec), [io::IoSliceMut::new(buffer)]);
    let got = recvmsg::<()>(stream.as_raw_fd(), &mut into, Some(&mut told), MsgFlags::empty())?;
    let arrived = got.cmsgs()?.find_map(|told| match told {
        ControlMessageOwned::ScmTimestampns(at) => Some(UNIX_EPOCH + Duration::from(at)),
        _ => None,
    });
    Ok((got.bytes, arrived.and_then(|at| at.elapsed().ok()).unwrap_or_default()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn note(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Duration)> {
    use tokio::io::AsyncReadExt;
    Ok((stream.read(buffer).await?, Duration::ZERO))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_lay_unread_had_arrived() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        note(&ours).unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let (slept, mut buffer) = (Duration::from_millis(5), [0; 16]);
        let mut lays = Vec::new();
        // The kernel begins to note in its own time.
        while lays.last().is_none_or(Duration::is_zero) && lays.len() < 200 {
            let begun = std::time::Instant::now();
            theirs.write_all(b"answer").await.unwrap();
            std::thread::sleep(slept);
            let (n, lay) = read(&ours, &mut buffer).await.unwrap();
            assert_eq!(&buffer[..n], b"answer");
            assert!(lay <= begun.elapsed(), "{lay:?}");
            lays.push(lay);
        }
        assert!(*lays.last().unwrap() >= slept, "{lays:?}");
        drop(theirs);
        assert_eq!(read(&ours, &mut buffer).await.unwrap().0, 0, "its end is told");
    }
}
