//! `forward` through a target that runs already: what it takes of a login's flags, and what it cannot.

use super::*;
use crate::forward::announce::Format;
use crate::forward::spec::Forward;
use crate::options::{Through, TunnelOptions, TunnelPurpose};

const TARGET: &str = "i-0123456789abcdef0";

fn tunnel(home: &Home, args: &[&str]) -> TunnelOptions {
    match home.parse(args) {
        Ok(Invocation::Tunnel(options)) => *options,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn service(cluster: &str, container: Option<&str>) -> Through {
    let container = container.map(str::to_owned);
    Through::Service { service: "web".to_owned(), cluster: cluster.to_owned(), container }
}

#[test]
fn a_target_is_named_or_is_a_task_of_a_service() {
    let home = Home::new();
    let options = tunnel(&home, &["forward", "--target", TARGET, "1:db:2", "-L", "0:localhost:3", "--output", "env"]);
    let specs = ["1:db:2", "0:localhost:3"].map(|spec| Forward::parse(spec).expect(spec));
    assert_eq!((options.through, options.forwards.local), (Through::Target(TARGET.to_owned()), specs.to_vec()));
    assert_eq!(options.purpose, TunnelPurpose::Hold(Format::Env));
    let of = |home: &Home, args: &[&str]| tunnel(home, args).through;
    assert_eq!(of(&home, &["forward", "--service", "web", "1:db:2"]), service("default", None));
    let named = ["-cluster", "shop", "forward", "1:db:2", "--service=web", "--container", "app"];
    assert_eq!(of(&home, &named), service("shop", Some("app")));
    let configured = Home::new().user_file("cluster = 'shop'\ncontainer = 'cli'\ntask-definition = 'x'");
    assert_eq!(of(&configured, &["forward", "--service", "web", "1:db:2"]), service("shop", None), "that is a login's");
}

#[test]
fn what_follows_the_dashes_runs_here() {
    let psql = TunnelPurpose::Child(vec!["psql".to_owned(), "-p".to_owned(), "{port}".to_owned()]);
    for exec in [&["--", "psql", "-p", "{port}"][..], &["--exec", "--", "psql", "-p", "{port}"]] {
        let args = [&["forward", "--target", TARGET, "0:db:1"], exec].concat();
        assert_eq!(tunnel(&Home::new(), &args).purpose, psql);
    }
}

#[test]
fn settings_of_logins_do_no_harm() {
    let settings = "via = 'direct'\ndynamic-forward = '1080'\nforward-agent = true\nspot = true\nkeep-going = true\nlocal-forward = '1:db:2'";
    let options = tunnel(&Home::new().user_file(settings), &["forward", "--target", TARGET]);
    assert!(options.forwards.dynamic.is_empty() && !options.forwards.agent && options.forwards.keep_going);
    assert_eq!(options.forwards.local.len(), 1);
}

#[test]
fn what_needs_a_task_is_refused() {
    let with = |args: &[&'static str]| [&["forward", "--target", TARGET, "0:db:1"], args].concat();
    let lines = [
        with(&["-R", "1:db:2"]),
        with(&["-D", "1080"]),
        with(&["-A"]),
        with(&["-W", "db:1"]),
        with(&["-o", "DynamicForward=1080"]),
        with(&["-n", "bastion"]),
        with(&["--put", "a:b"]),
        with(&["--local"]),
        with(&["-cluster", "shop"]),
        with(&["--service", "web"]),
        with(&["--exec"]),
        with(&["--output", "json", "--", "psql"]),
        with(&["--via", "direct"]),
        vec!["--via=direct", "forward", "--service", "web", "0:db:1"],
        vec!["-n", "bastion", "forward", "--target", TARGET, "0:db:1"],
        vec!["forward", "--service", "web", "-R", "1", "0:db:1"],
        vec!["forward", "--service", "web"],
        vec!["forward", "--service", "a b", "0:db:1"],
        vec!["forward", "--target", TARGET, "8080:/run/app.sock"],
        vec!["forward", "--target", "ecs:shop_1", "0:db:1"],
        vec!["--target", TARGET],
    ];
    let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    snapshot("what_needs_a_task_is_refused", &told(&lines));
}
