//! Every kind of listener with every kind of target, on either side, in one run.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use e2e::World;
use serde_json::Value;

use super::{asked_over, end, shouting, shouting_at};

/// The server of [`shouting`] on a socket.
fn shouting_on(path: &Path) {
    let listener = UnixListener::bind(path).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut heard = String::new();
            stream.read_to_string(&mut heard).expect("text");
            stream.write_all(heard.to_uppercase().as_bytes()).expect("written");
        }
    });
}

/// Asks at a listener as it was told of.
fn asked_at(told: &Value, words: &str) -> String {
    let Some(path) = told["path"].as_str() else {
        let host = told["host"].as_str().expect("a host").replace('*', "127.0.0.1");
        let port = u16::try_from(told["port"].as_u64().expect("a number")).expect("a port");
        return asked_over(TcpStream::connect((host, port)).expect("listening"), words);
    };
    let mut stream = UnixStream::connect(path).expect("listening");
    stream.write_all(words.as_bytes()).expect("written");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn ports_and_sockets_of_either_family_stand_on_either_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let [server, here, there] = ["a server", "here is \u{fc}", "there\nand here"].map(|name| folder.path().join(name));
    shouting_on(&server);
    let (v4, v6) = (shouting(), shouting_at("::1"));
    let [server, here, there] = [server, here, there].map(|path| path.display().to_string());
    let listeners = [
        ("-L", format!("0:localhost:{v4}")),
        ("-L", format!("127.0.0.2:0:127.0.0.1:{v4}")),
        ("-L", format!("[::1]:0:[::1]:{v6}")),
        ("-L", format!("*:0:{server}")),
        ("-L", format!("{here}:{server}")),
        ("-R", format!("0:localhost:{v4}")),
        ("-R", format!("[::1]:0:[::1]:{v6}")),
        ("-R", format!("*:0:{server}")),
        ("-R", format!("{there}:127.0.0.1:{v4}")),
    ];
    let world = World::new();
    let flags = listeners.iter().flat_map(|(flag, spec)| [(*flag).to_owned(), spec.clone()]);
    let mut running = world.login().args(["-N", "--output", "json"]).args(flags).start();
    for (flag, spec) in &listeners {
        let told: Value = serde_json::from_str(&running.read_line_with("{")).expect("one object to a line");
        assert_eq!(told["kind"], if *flag == "-L" { "local" } else { "remote" }, "{spec}: {told}");
        assert!(spec.ends_with(told["target"].as_str().expect("a target")), "{spec}: {told}");
        assert_eq!(asked_at(&told, spec), spec.to_uppercase(), "{flag} {spec}");
    }
    end(&world, running);
    assert!(!Path::new(&here).exists() && !Path::new(&there).exists(), "sockets go with their listeners");
}
