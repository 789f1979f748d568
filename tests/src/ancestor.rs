//! A container of the ancestor's kind: an `sshd` that admits the key of the run.

use std::ffi::OsString;

use crate::world::World;

/// Writes `authorized_keys` from `_AUTHORIZED_PUBLIC_KEY`, then becomes `sshd`. The configuration only moves what would touch
/// the machine into the container's scratch directory.
const ENTRY_POINT: &str = r#"
set -e
umask 077
mkdir -p .ssh /run/sshd
printf '%s\n' "$_AUTHORIZED_PUBLIC_KEY" > authorized_keys
ssh-keygen -q -t ed25519 -N '' -f host_key
cat > sshd_config <<END
ListenAddress $LOCAL_FARGATE_ADDRESS
Port 2222
HostKey $PWD/host_key
AuthorizedKeysFile $PWD/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
AcceptEnv LANG LC_*
$MORE_CONFIGURATION
END
exec /usr/sbin/sshd -D -e -f sshd_config
"#;

/// A world whose one image is that container.
#[must_use]
pub fn world() -> World {
    world_with("")
}

/// The same, with one more line in the configuration of its `sshd`.
#[must_use]
pub fn world_with(line: &str) -> World {
    World::with(|config| {
        config.images[0].entry_point = entry_point().into();
        config.images[0].env.push(("MORE_CONFIGURATION".into(), line.into()));
    })
}

/// The entry point of its image.
#[must_use]
pub fn entry_point() -> [OsString; 3] {
    ["/bin/sh".into(), "-c".into(), ENTRY_POINT.into()]
}

/// The flags with which our client logs into it, as the user of this process.
///
/// # Panics
/// Without an account.
#[must_use]
pub fn flags() -> [String; 4] {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).expect("a user database").expect("a user").name;
    ["--host-key".to_owned(), "accept-new".to_owned(), "-l".to_owned(), user]
}
