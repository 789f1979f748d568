//! Addresses: each task has one, its containers share it.

use serde_json::json;

use super::{describe, log, register, run, run_to_its_end, shell, shell_with, world};

#[test]
fn containers_of_a_task_share_localhost_and_tasks_do_not() {
    let Some(world) = world() else { return };
    let server =
        shell_with("server", "mkdir /w; echo hi > /w/x; exec httpd -f -p 8080 -h /w", json!({"essential": false}));
    let line = "until wget -qO- http://localhost:8080/x 2>/dev/null; do sleep 0.1; done";
    let task = run_to_its_end(&world, json!([server, shell("client", line)]), json!({}));
    assert_eq!(log(&world, &task, "client"), ["hi"]);
}

#[test]
fn a_task_is_reached_at_the_address_that_ec2_tells() {
    let Some(world) = world() else { return };
    let server = shell("server", "mkdir /w; echo hi > /w/x; echo up; exec httpd -f -p 8080 -h /w");
    register(&world, json!([server]), json!({})).expect("registered");
    let tasks = [run(&world), run(&world)];
    let mut addresses = Vec::new();
    for arn in &tasks {
        world.wait_running(arn);
        world.wait_for_log(arn, "server", "up");
        let task = describe(&world, arn);
        assert_eq!(task["lastStatus"], "RUNNING");
        let details = task["attachments"][0]["details"].as_array().expect("details").clone();
        let address = details.iter().find(|detail| detail["name"] == "privateIPv4Address").expect("an address");
        addresses.push(address["value"].as_str().expect("text").to_owned());
    }
    assert_ne!(addresses[0], addresses[1]);
    for address in &addresses {
        // It has said that it is up before it listens.
        let mut reply = loop {
            match ureq::get(format!("http://{address}:8080/x")).call() {
                Ok(reply) => break reply,
                Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(reply.body_mut().read_to_string().expect("text"), "hi\n");
    }
}

#[test]
fn only_root_listens_below_1024() {
    let Some(world) = world() else { return };
    let line = "httpd -p 80 2>&1 | sed 's/.*: //'; echo over";
    let task = run_to_its_end(&world, json!([shell_with("app", line, json!({"user": "1000"}))]), json!({}));
    assert_eq!(log(&world, &task, "app"), ["Permission denied", "over"]);
    let open =
        json!({"user": "1000", "systemControls": [{"namespace": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]});
    let task = run_to_its_end(&world, json!([shell_with("app", line, open)]), json!({}));
    assert_eq!(log(&world, &task, "app"), ["over"]);
}
