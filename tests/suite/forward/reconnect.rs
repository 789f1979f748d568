//! A connection that is lost and comes back: listeners stay, and who connects meanwhile waits.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use e2e::{Network, World};

use super::{asked, asked_over, end, port_in, shouting};

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("listening");
    stream.set_read_timeout(Some(e2e::world::PATIENCE)).expect("a limit");
    stream
}

#[test]
fn listeners_of_both_sides_outlive_their_connection_and_who_connects_meanwhile_waits() {
    let (server, world): (u16, World) = (shouting(), Network::world());
    let target = format!("0:127.0.0.1:{server}");
    let mut running = world.login().args(["-N", "-L", &target, "-R", &target]).start();
    let network = Network::of(&world);
    let local = port_in(&running.hear("forwarding 127.0.0.1:"));
    let remote = port_in(&running.hear("forwarding the task's "));
    let mut cut = connect(local);
    cut.write_all(b"half a question").expect("written");
    // Connections are opened in the order in which they come: the first is open when this one is answered.
    assert_eq!(asked(local, "it stands"), "IT STANDS");
    assert_eq!(asked(remote, "there too"), "THERE TOO");
    network.down();
    running.hear("connection lost; reconnecting...");
    let reset = cut.read(&mut [0]).expect_err("a reset tells that something is missing");
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    let meanwhile = connect(local);
    network.up();
    assert_eq!(asked_over(meanwhile, "meanwhile"), "MEANWHILE");
    running.hear("connected again after ");
    assert_eq!(asked(local, "again"), "AGAIN");
    assert_eq!(asked(remote, "from the same port"), "FROM THE SAME PORT");
    end(&world, running);
    assert!(TcpStream::connect(("127.0.0.1", local)).is_err(), "nobody listens any more");
}
