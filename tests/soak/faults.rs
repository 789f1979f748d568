//! Faults of the stand-in, drawn while runs go on. Each is over after a while, whether it met anybody or not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::World;
use local_fargate::Fault;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Calls that faults are about.
const ACTIONS: [&str; 5] = ["RunTask", "DescribeTasks", "StopTask", "DescribeNetworkInterfaces", "GetCallerIdentity"];
/// Calls that change something: their replies are worth losing.
const WRITES: [&str; 2] = ["RunTask", "StopTask"];

/// No fault is in force for longer.
const LONGEST: Duration = Duration::from_secs(3);

/// Lets faults come until it is over.
pub(crate) fn come_and_go(world: &World, seed: u64, over: &AtomicBool) {
    let mut random = StdRng::seed_from_u64(seed);
    while !over.load(Ordering::Relaxed) {
        let lasts = Duration::from_millis(random.random_range(200..3_000)).min(LONGEST);
        let fault = Fault::For { duration: lasts, fault: Box::new(draw(&mut random)) };
        world.stand_in().inject(fault);
        std::thread::sleep(Duration::from_millis(random.random_range(50..600)));
    }
    // Whoever looks afterwards asks a stand-in on its best behaviour.
    std::thread::sleep(LONGEST);
}

fn draw(random: &mut StdRng) -> Fault {
    let mut action = |of: &[&str]| of.choose(random).copied().unwrap_or_default().to_owned();
    let (any, write) = (action(&ACTIONS), action(&WRITES));
    let count = random.random_range(1..6);
    let once = |fault| Fault::Times { count: 1, fault: Box::new(fault) };
    match random.random_range(0..14) {
        0 | 1 => Fault::Throttle { action: any, count },
        2 | 3 => Fault::ServerError { action: any, count },
        4 | 5 => Fault::LostReply { action: write, count },
        6 => {
            let delay = Duration::from_millis(random.random_range(100..2_000));
            Fault::Times { count, fault: Box::new(Fault::SlowApi { action: any, delay }) }
        }
        7 => Fault::Missing { calls: count },
        8 => Fault::NoAddressYet { describes: count },
        9 => once(Fault::Capacity),
        10 => once(Fault::StartFailure {
            reason: "Timeout waiting for network interface provisioning to complete.".to_owned(),
        }),
        11 => once(Fault::EarlyExit { exit_code: 1 }),
        12 => once(Fault::SpotInterruption { after: Duration::from_millis(random.random_range(0..1_000)) }),
        _ => once(Fault::NoAnswer),
    }
}
