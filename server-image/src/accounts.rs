//! Login names: the container's own user, and what `/etc/passwd` and `/etc/group` say, read here because a static program has
//! no name service to ask.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

use crate::sys::Identity;

/// The name that always means the container's own user, whoever that is.
const ROOT: &str = "root";
/// The shell when nobody names one.
const DEFAULT_SHELL: &str = "/bin/sh";
/// Where images keep a shell that nobody names; the last is that of the debug variants of shell-less images.
pub(crate) const SHELLS: [&str; 5] = [DEFAULT_SHELL, "/bin/bash", "/bin/ash", "/usr/bin/sh", "/busybox/sh"];
/// Shells that exist to refuse a login.
const REFUSING_SHELLS: [&str; 2] = ["nologin", "false"];

/// A line of `/etc/passwd` (passwd(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
    shell: PathBuf,
}

/// Everything that is known about who may log in.
#[derive(Debug)]
pub struct Accounts {
    passwd: Vec<Entry>,
    group: String,
    own: Uid,
    /// HOME of the container's environment.
    home: Option<PathBuf>,
    /// SHELL of the container's environment.
    shell: Option<PathBuf>,
}

/// Whom a session runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name in USER and LOGNAME.
    pub name: String,
    /// Home directory; it may not exist.
    pub home: PathBuf,
    /// The shell; it may not exist.
    pub shell: PathBuf,
    /// Who the process becomes; `None` when it stays who we are.
    pub(crate) identity: Option<Identity>,
}

impl Accounts {
    /// Reads the container's files. Absent ones are empty ones. `environment` is the container's.
    #[must_use]
    pub fn read(environment: &[(OsString, OsString)]) -> Self {
        let text = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Self::new(&text("/etc/passwd"), text("/etc/group"), nix::unistd::getuid(), environment)
    }

    fn new(passwd: &str, group: String, own: Uid, environment: &[(OsString, OsString)]) -> Self {
        let path = |name: &str| {
            let found = environment.iter().find(|(key, _)| key == name).map(|(_, value)| PathBuf::from(value));
            found.filter(|path| path.is_absolute())
        };
        Self {
            passwd: passwd.lines().filter_map(entry).collect(),
            group,
            own,
            home: path("HOME"),
            shell: path("SHELL"),
        }
    }

    /// The container's own user.
    #[must_use]
    pub fn own_user(&self) -> User {
        let entry = self.passwd.iter().find(|entry| entry.uid == self.own.as_raw());
        let fallback = if self.own.is_root() { ROOT.to_owned() } else { self.own.to_string() };
        // The environment's HOME first: whoever starts a container may move it, and a developer's machine has to.
        let home = self.home.clone().or_else(|| entry.map(|entry| entry.home.clone()));
        let named = entry.map(|entry| entry.shell.clone()).filter(|shell| !refuses(shell));
        let shells = [named, self.shell.clone()].into_iter().flatten().chain(SHELLS.map(PathBuf::from));
        let shell = shells.into_iter().find(|shell| is_executable(shell));
        User {
            name: entry.map_or(fallback, |entry| entry.name.clone()),
            home: home.unwrap_or_else(|| PathBuf::from("/")),
            shell: shell.unwrap_or_else(|| PathBuf::from(DEFAULT_SHELL)),
            identity: None,
        }
    }

    /// Whom a login name means: `root` and the own user's name mean the container's own user; another name of `/etc/passwd`
    /// counts when we may become that user. `None`: nobody.
    #[must_use]
    pub fn resolve(&self, login: &str) -> Option<User> {
        let own = self.own_user();
        if login == ROOT || login == own.name {
            return Some(own);
        }
        let entry = self.passwd.iter().find(|entry| entry.name == login).filter(|_| self.own.is_root())?;
        let gid = Gid::from_raw(entry.gid);
        let identity = Identity { uid: Uid::from_raw(entry.uid), gid, groups: self.groups_of(&entry.name, gid) };
        let shell = Some(entry.shell.clone()).filter(|shell| !shell.as_os_str().is_empty());
        Some(User {
            name: entry.name.clone(),
            home: entry.home.clone(),
            shell: shell.unwrap_or_else(|| PathBuf::from(DEFAULT_SHELL)),
            identity: Some(identity),
        })
    }

    /// Groups that list the user (group(5)), its own group first.
    fn groups_of(&self, name: &str, own: Gid) -> Vec<Gid> {
        let mut groups = vec![own];
        for line in self.group.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let &[_, _, gid, members] = &fields[..] else { continue };
            let Ok(gid) = gid.parse().map(Gid::from_raw) else { continue };
            if members.split(',').any(|member| member == name) && !groups.contains(&gid) {
                groups.push(gid);
            }
        }
        groups
    }
}

fn entry(line: &str) -> Option<Entry> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, gid, _, home, shell] = &fields[..] else { return None };
    (!name.is_empty()).then_some(())?;
    Some(Entry {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.into(),
        shell: shell.into(),
    })
}

fn refuses(shell: &Path) -> bool {
    shell.file_name().is_some_and(|name| REFUSING_SHELLS.iter().any(|refusing| name == *refusing))
}

/// Whether there is a program at a path.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        broken line\n\
        app:x:1000:1001:The App,,,:/srv/app:/usr/sbin/nologin\n\
        deploy:x:1002:1002::/home/deploy:\n\
        :x:5:5::/:/bin/sh\n\
        badid:x:five:5::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\ndocker:x:999:deploy,app\napp:x:1001:\nbad:x:y:app\nadm:x:4:app\ndup:x:1001:app\n";

    fn accounts(own: u32, environment: &[(&str, &str)]) -> Accounts {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Accounts::new(PASSWD, GROUP.to_owned(), Uid::from_raw(own), &environment)
    }

    #[test]
    fn root_becomes_others() {
        let accounts = accounts(0, &[]);
        let root = accounts.resolve("root").expect("root");
        assert_eq!((root.name.as_str(), root.home.as_path(), &root.identity), ("root", Path::new("/root"), &None));
        let app = accounts.resolve("app").expect("app");
        let groups = vec![Gid::from_raw(1001), Gid::from_raw(999), Gid::from_raw(4)];
        let identity = Identity { uid: Uid::from_raw(1000), gid: Gid::from_raw(1001), groups };
        assert_eq!((app.home.as_path(), app.identity), (Path::new("/srv/app"), Some(identity)));
        assert_eq!(app.shell, Path::new("/usr/sbin/nologin"), "another user's refusal stands");
        assert_eq!(accounts.resolve("deploy").expect("deploy").shell, Path::new("/bin/sh"));
        for nobody in ["", "badid", "broken line", "ghost"] {
            assert_eq!(accounts.resolve(nobody), None, "{nobody:?}");
        }
    }

    #[test]
    fn others_stay_who_they_are() {
        let accounts = accounts(1000, &[("HOME", "/tmp/scratch"), ("SHELL", "/bin/sh")]);
        let own = accounts.resolve("root").expect("the own user");
        assert_eq!((own.name.as_str(), own.home.as_path()), ("app", Path::new("/tmp/scratch")));
        assert_eq!(
            (own.shell.as_path(), &own.identity),
            (Path::new("/bin/sh"), &None),
            "nologin does not bar the own user"
        );
        assert_eq!(accounts.resolve("app"), Some(own));
        assert_eq!(accounts.resolve("deploy"), None);
    }

    #[test]
    fn an_empty_image_has_one_user() {
        let nobody: [(OsString, OsString); 1] = [("HOME".into(), "relative".into())];
        let user = Accounts::new("", String::new(), Uid::from_raw(7), &nobody).own_user();
        assert_eq!((user.name.as_str(), user.home.as_path()), ("7", Path::new("/")));
        assert_eq!(Accounts::new("", String::new(), Uid::from_raw(0), &[]).own_user().name, "root");
    }
}
