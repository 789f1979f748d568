//! The network between our client and the init of a task: it can be cut, and be away.

use std::ffi::OsString;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use local_fargate::ProcessImage;

use crate::world::{IMAGE, World, executable};

/// Where the task's init listens, so that everything goes through the network.
const BEHIND: u16 = 2223;

/// Carries connections from the port that our client dials to the one behind it.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_down: bool,
    /// Both ends of each connection that was carried.
    carried: Vec<TcpStream>,
}

impl Network {
    /// A world whose task can be reached through such a network alone.
    #[must_use]
    pub fn world() -> World {
        let line = format!("_FARGATE_LOGIN_PORT={BEHIND} exec \"$0\" __fargate-init");
        let entry_point: Vec<OsString> =
            vec!["/bin/sh".into(), "-c".into(), line.into(), executable().into_os_string()];
        World::with(|config| {
            config.images = vec![ProcessImage { name: IMAGE.to_owned(), entry_point, env: Vec::new() }];
        })
    }

    /// The network of this world's only task, once that has an address.
    ///
    /// # Panics
    /// When it never has, or its port is taken.
    #[must_use]
    pub fn of(world: &World) -> Self {
        world.wait_until(|world| world.stand_in().tasks().iter().any(|task| task.address.is_some()));
        // Just seen.
        let address = world.task().address.expect("an address");
        let listener = TcpListener::bind(format!("{address}:2222")).expect("a free port");
        let (network, behind) = (Self::default(), format!("{address}:{BEHIND}"));
        let carrier = network.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                carrier.carry(near, &behind);
            }
        });
        network
    }

    fn carry(&self, near: TcpStream, behind: &str) {
        let mut state = self.state();
        // Refused by the network or by a task that does not listen yet, the client dials again.
        let Some(far) = (!state.is_down).then(|| TcpStream::connect(behind).ok()).flatten() else { return };
        let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        state.carried.extend([clone(&near), clone(&far)]);
        for (mut from, mut to) in [(clone(&near), clone(&far)), (far, near)] {
            thread::spawn(move || {
                // How it ends is between the client and the server.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    /// Cuts every connection; those that come later are carried again. How many it cut.
    #[must_use]
    pub fn cut(&self) -> usize {
        let carried = std::mem::take(&mut self.state().carried);
        // One that has ended by itself is cut already.
        carried.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        carried.len() / 2
    }

    /// Cuts every connection, and carries no other until it is [`up`](Self::up).
    pub fn down(&self) {
        self.state().is_down = true;
        let _ = self.cut();
    }

    /// Carries connections again.
    pub fn up(&self) {
        self.state().is_down = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
