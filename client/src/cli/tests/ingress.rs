//! Who is let in, as flags, variables and files say it.

use super::*;

fn cidrs(options: &Options) -> Vec<String> {
    options.allow_cidrs.iter().map(ToString::to_string).collect()
}

#[test]
fn ranges_come_in_lists_and_a_higher_source_replaces_them() {
    let home = Home::new()
        .user_file("allow-cidr = ['10.0.0.0/8', '2001:db8::7']\nmy-ip-url = 'https://ip.example'\nallow-my-ip = true")
        .with("FARGATE_LOGIN_MY_IP_URL", "http://127.0.0.1:8080/");
    let options = home.login(&[]);
    assert_eq!(cidrs(&options), ["10.0.0.0/8", "2001:db8::7/128"]);
    assert_eq!((options.my_ip_url.as_deref(), options.allow_my_ip), (Some("http://127.0.0.1:8080/"), true));
    let home = home.with("FARGATE_LOGIN_ALLOW_CIDR", "192.0.2.1,192.0.2.2");
    assert_eq!(cidrs(&home.login(&[])), ["192.0.2.1/32", "192.0.2.2/32"]);
    let args = ["--allow-cidr", "203.0.113.7", "--allow-cidr", "198.51.100.0/24", "--allow-my-ip=false"];
    let options = home.login(&args);
    assert_eq!((cidrs(&options).join(" ").as_str(), options.allow_my_ip), ("203.0.113.7/32 198.51.100.0/24", false));
}

#[test]
fn a_project_file_does_not_say_who_is_let_in() {
    for (text, key) in
        [("allow-cidr = ['10.0.0.0/8']", "allow-cidr"), ("my-ip-url = 'https://ip.example'", "my-ip-url")]
    {
        let told = Home::new().project_file(text).wrong(&[]);
        assert!(told.contains(&format!("`{key}` in ~/.fargate-login.toml is not for a project file")), "{told}");
    }
    assert!(Home::new().project_file("allow-my-ip = true").login(&[]).allow_my_ip, "it lets in nobody but the user");
}

#[test]
fn gc_can_be_told_how_old_a_rule_has_to_be() {
    let older_than = |home: &Home, args: &[&str]| match home.parse(args) {
        Ok(Invocation::Gc(options)) => options.older_than,
        other => panic!("{args:?}: {other:?}"),
    };
    let home = Home::new().with("FARGATE_LOGIN_OLDER_THAN", "1h");
    assert_eq!(older_than(&Home::new(), &["gc"]), None);
    assert_eq!(older_than(&home, &["gc"]), Some(Duration::from_secs(3600)));
    assert_eq!(older_than(&home, &["gc", "--older-than", "90s"]), Some(Duration::from_secs(90)));
}

#[test]
fn wrong_ranges_are_told() {
    snapshot(
        "wrong_ranges_are_told",
        &told(&[
            &["--allow-cidr", "0.0.0.0/0"],
            &["--allow-cidr", "::/0"],
            &["--allow-cidr", "203.0.113.7/24"],
            &["--allow-cidr", "me"],
            &["--my-ip-url", "http://ip.example"],
            &["--my-ip-url", "ip.example"],
            &["gc", "--older-than", "0"],
        ]),
    );
}
