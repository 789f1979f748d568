//! What stands behind a forward: a TCP server on loopback that sends, counts or echoes, as a connection's first byte asks; and its
//! clients, which connect to the forward and hold it to the count.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// "Send me that many": the number follows, 8 bytes in network order.
const SEND: u8 = b's';
/// "Count what I send": the number is the answer, in the same form.
const COUNT: u8 = b'c';
/// "Send back what I send."
const ECHO: u8 = b'e';

/// Bytes read or written at once.
const BLOCK: usize = 256 * 1024;
/// Stack of a thread that serves one connection, in bytes: a block and some.
const STACK: usize = 512 * 1024;
/// How long a read may wait before the forward counts as broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server, which lives as long as this process. Its port.
pub(crate) fn start() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // An error belongs to the client, which misses bytes.
            let served = thread::Builder::new().stack_size(STACK).spawn(move || serve(stream));
            served.expect("a thread");
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut wanted = [0];
    stream.read_exact(&mut wanted)?;
    match wanted {
        [SEND] => {
            let mut number = [0; 8];
            stream.read_exact(&mut number)?;
            pour(&mut stream, u64::from_be_bytes(number))?;
            stream.shutdown(Shutdown::Write)
        }
        [COUNT] => {
            let counted = drain(&mut stream)?;
            stream.write_all(&counted.to_be_bytes())
        }
        [ECHO] => {
            stream.set_nodelay(true)?;
            let mut byte = [0];
            while stream.read(&mut byte)? > 0 {
                stream.write_all(&byte)?;
            }
            Ok(())
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes that many bytes.
pub(crate) fn pour(sink: &mut impl io::Write, mut bytes: u64) -> io::Result<()> {
    let block = vec![0; BLOCK];
    while bytes > 0 {
        let part = usize::try_from(bytes).map_or(BLOCK, |left| left.min(BLOCK));
        sink.write_all(&block[..part])?;
        bytes -= part as u64;
    }
    Ok(())
}

/// Reads to the end. How much there was.
pub(crate) fn drain(source: &mut impl io::Read) -> io::Result<u64> {
    let (mut block, mut counted) = (vec![0; BLOCK], 0);
    loop {
        match source.read(&mut block)? {
            0 => return Ok(counted),
            read => counted += read as u64,
        }
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the forward listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// How long a forward takes to bring that many bytes from the server, from connecting to the end.
pub(crate) fn download(port: u16, bytes: u64) -> Duration {
    let began = Instant::now();
    let mut stream = connect(port);
    stream.write_all(&[SEND]).and_then(|()| stream.write_all(&bytes.to_be_bytes())).expect("asked");
    assert_eq!(drain(&mut stream).expect("bytes"), bytes);
    began.elapsed()
}

/// How long a forward takes to bring that many bytes to the server, from connecting until the server's count is here.
pub(crate) fn upload(port: u16, bytes: u64) -> Duration {
    let began = Instant::now();
    let mut stream = connect(port);
    stream.write_all(&[COUNT]).and_then(|()| pour(&mut stream, bytes)).expect("taken");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut counted = [0; 8];
    stream.read_exact(&mut counted).expect("a count");
    assert_eq!(u64::from_be_bytes(counted), bytes);
    began.elapsed()
}

/// A connection through a forward that the server echoes.
pub(crate) struct Echo(TcpStream);

impl Echo {
    /// Connects, and sends a first byte.
    pub(crate) fn ask(port: u16) -> Self {
        let mut stream = connect(port);
        stream.set_nodelay(true).expect("no delay");
        stream.write_all(&[ECHO, 1]).expect("taken");
        Self(stream)
    }

    /// Sends this byte.
    pub(crate) fn send(&mut self, byte: u8) {
        self.0.write_all(&[byte]).expect("taken");
    }

    /// Waits until a byte comes back, which must be this one. The first is 1.
    pub(crate) fn expect(&mut self, byte: u8) {
        let mut heard = [0];
        self.0.read_exact(&mut heard).expect("an echo");
        assert_eq!(heard, [byte]);
    }
}
