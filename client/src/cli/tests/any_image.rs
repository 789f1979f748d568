//! `--like-service`, `--from` and what goes with them; `gc`.

use super::Home;
use crate::options::{Derive, GcOptions, Invocation};

fn gc(home: &Home, args: &[&str]) -> GcOptions {
    match home.parse(args) {
        Ok(Invocation::Gc(options)) => options,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn a_service_or_another_task_definition_is_taken_as_the_original() {
    let line = "--like-service web -cluster shop --from web:42 --with-sidecars --keep-entrypoint --add-tmp \
                --derive=always --init-image registry:5000/init:1-arm64";
    let options = Home::new().login(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!((options.like_service.as_deref(), options.from.as_deref()), (Some("web"), Some("web:42")));
    assert!(options.with_sidecars && options.keep_entrypoint && options.add_tmp);
    assert_eq!((options.derive, options.init_image.as_deref()), (Derive::Always, Some("registry:5000/init:1-arm64")));
    let options = Home::new().login(&[]);
    assert!(!options.with_sidecars && !options.keep_entrypoint && !options.add_tmp);
    assert_eq!((options.derive, options.init_image), (Derive::Auto, None));
}

#[test]
fn an_original_on_the_command_line_takes_the_place_of_one_in_a_file() {
    let home = Home::new().project_file("task-definition = 'cli'\nsubnets = ['subnet-1']");
    let options = home.login(&["--from", "web"]);
    assert_eq!((options.task_definition, options.from.as_deref()), (None, Some("web")));
    assert_eq!(options.subnets, ["subnet-1"]);
    let home = Home::new().with("FARGATE_LOGIN_LIKE_SERVICE", "web");
    let options = home.login(&["-n", "cli"]);
    assert_eq!((options.task_definition.as_deref(), options.like_service.as_deref()), (Some("cli"), Some("web")));
}

#[test]
fn two_originals_in_one_source_are_one_too_many() {
    let told = "error: there are two task definitions: one in `-n`, one in `--from`\n\
                hint: `-n` runs it as it is, `--from` derives one from it: name one\n";
    assert_eq!(Home::new().wrong(&["-n", "cli", "login", "--from", "web"]), told);
    assert_eq!(Home::new().project_file("from = 'web'\ntask-definition = 'cli'").wrong(&[]), told);
    let home = Home::new().with("FARGATE_LOGIN_FROM", "web").with("FARGATE_LOGIN_TASK_DEFINITION", "cli");
    assert_eq!(home.wrong(&[]), told);
}

#[test]
fn what_runs_with_the_containers_secrets_is_not_for_a_project_file_to_say() {
    let told = Home::new().project_file("init-image = 'evil/init'").wrong(&["--from", "web"]);
    assert!(told.contains("`init-image`") && told.contains("is not for a project file to decide"), "{told}");
    let home = Home::new().user_file("init-image = 'mine/init'");
    assert_eq!(home.login(&["--from", "web"]).init_image.as_deref(), Some("mine/init"));
}

#[test]
fn clearing_away_takes_the_settings_that_it_has_flags_for() {
    let home = Home::new()
        .user_file("region = 'eu-west-1'\ncluster = 'shop'\nspot = true")
        .with("FARGATE_LOGIN_PROFILE", "ops");
    let options = gc(&home, &["gc", "--dry-run", "-vv"]);
    assert_eq!((options.source.region.as_deref(), options.source.profile.as_deref()), (Some("eu-west-1"), Some("ops")));
    assert_eq!((options.dry_run, options.quiet, options.verbose), (true, false, 2));
    assert!(!gc(&home, &["gc"]).dry_run);
}

#[test]
fn flags_of_the_login_say_nothing_to_gc() {
    for args in [&["-n", "x", "gc"][..], &["gc", "-n", "x"], &["gc", "--spot"]] {
        let told = Home::new().wrong(args);
        assert!(told.contains("says nothing to `gc`"), "{args:?}: {told}");
        assert!(told.contains("`fargate-login gc --help`"), "{args:?}: {told}");
    }
    let told = Home::new().wrong(&["--region", "eu-west-1", "gc"]);
    assert!(
        told.contains("`--region` stands before `gc`") && told.contains("`fargate-login gc --region ...`"),
        "{told}"
    );
    let told = Home::new().wrong(&["local", "--spot"]);
    assert!(told.contains("says nothing to `local`"), "{told}");
    assert!(Home::new().wrong(&["gcc"]).contains("did you mean `gc`?"));
}
