"""Runs a task's whole life against the stand-in with boto3 and the AWS CLI: `standin_check.py ENDPOINT_URL`.

Every response is compared with the service's model, every refusal with the code that the service gives. The task is the
shipped test-cli, which the stand-in has registered.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from wire_shapes import Faults

REGION = "us-east-1"
KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
FAMILY, SUBNET, GROUP, CONTAINER = "test-cli", "subnet-1", "sg-1", "cli"
CLUSTER = "conformance"
STATE_TIMEOUT = 60.0
POLL = 0.1
INSTANCE, KEY = "i-0123456789abcdef0", "alias/sessions"
# Stands for session-manager-plugin: says how it was called, with the answer that it may find in a variable of that name.
PLUGIN = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    print("1.2.835.0")
else:
    json.dump([os.environ.get(sys.argv[1], sys.argv[1]), *sys.argv[2:]], open("{said}", "w", encoding="utf-8"))
"""
# An ordinary user may not listen on 22.
PORT = "2222"
# One character more than RunTask takes in its overrides.
TOO_LONG = "x" * 8193


class Check:
    """The clients, and what they found wrong."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.faults = Faults()
        config = Config(retries={"total_max_attempts": 1})
        options = {"endpoint_url": endpoint, "region_name": REGION, "config": config, **KEYS}
        self.ecs, self.ec2, self.sts, self.logs = (boto3.client(name, **options) for name in ("ecs", "ec2", "sts", "logs"))
        self.ssm, self.kms = (boto3.client(name, **options) for name in ("ssm", "kms"))
        for client in (self.ecs, self.ec2, self.sts, self.logs, self.ssm, self.kms):
            self.faults.watch(client)

    def true(self, holds: bool, what: str) -> None:
        """Notes a fault unless it holds."""
        if not holds:
            self.faults.append(what)

    def refused(self, code: str, call, **arguments) -> None:
        """The call is refused with this code."""
        try:
            call(**arguments)
        except ClientError as error:
            given = error.response["Error"]["Code"]
            self.true(given == code, f"{error.operation_name} is refused with {given}, not {code}: {error}")
        else:
            self.faults.append(f"{call.__name__} is not refused with {code}")

    def request(self, key: str, **more) -> dict:
        """A RunTask request as fargate-login sends it."""
        environment = {"_AUTHORIZED_PUBLIC_KEY": key, "_FARGATE_LOGIN_PORT": PORT}
        pairs = [{"name": name, "value": value} for name, value in environment.items()]
        vpc = {"subnets": [SUBNET], "securityGroups": [GROUP], "assignPublicIp": "ENABLED"}
        request = {
            "taskDefinition": FAMILY,
            "count": 1,
            "launchType": "FARGATE",
            "platformVersion": "LATEST",
            "networkConfiguration": {"awsvpcConfiguration": vpc},
            "overrides": {"containerOverrides": [{"name": CONTAINER, "environment": pairs}]},
            "startedBy": "conformance",
            "enableExecuteCommand": False,
            "tags": [{"key": "fargate-login:run", "value": "conformance"}],
        }
        return request | more

    def described(self, arn: str, status: str) -> dict:
        """The task once it has this status; the first answers may be MISSING."""
        deadline = time.monotonic() + STATE_TIMEOUT
        while time.monotonic() < deadline:
            tasks = self.ecs.describe_tasks(tasks=[arn], include=["TAGS"])["tasks"]
            if tasks and tasks[0]["lastStatus"] == status:
                return tasks[0]
            time.sleep(POLL)
        raise SystemExit(f"{arn} is not {status} after {STATE_TIMEOUT} s: {tasks}")

    def cli(self, *arguments: str, path: str = "", answers: bool = True) -> dict:
        """What the AWS CLI answers; `path` is looked into for programs before all else."""
        environment = os.environ | {
            "PATH": os.pathsep.join([path, os.environ["PATH"]]),
            "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        flags = ["--endpoint-url", self.endpoint, "--region", REGION, "--output", "json"]
        line = [sys.executable, "-m", "awscli", *arguments, *flags]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=STATE_TIMEOUT)
        self.true(done.returncode == 0, f"aws {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if answers and done.returncode == 0 and done.stdout.strip() else {}


def life_of_a_task(check: Check, key: str) -> None:
    """From RunTask to STOPPED, as the client sees it."""
    request = check.request(key, clientToken="conformance-life")
    started = check.ecs.run_task(**request)
    check.true(not started["failures"], f"failures: {started['failures']}")
    task = started["tasks"][0]
    arn = task["taskArn"]
    check.true(task["lastStatus"] == "PROVISIONING", f"after RunTask the task is {task['lastStatus']}")
    again = check.ecs.run_task(**request)["tasks"][0]["taskArn"]
    check.true(again == arn, "the same clientToken starts a second task")
    check.refused("ConflictException", check.ecs.run_task, **(request | {"tags": []}))

    running = check.described(arn, "RUNNING")
    check.true(running["tags"] == request["tags"], f"tags: {running['tags']}")
    attachment = next(a for a in running["attachments"] if a["type"] == "ElasticNetworkInterface")
    interface = {detail["name"]: detail["value"] for detail in attachment["details"]}["networkInterfaceId"]
    found = check.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    check.true("PublicIp" in found[0].get("Association", {}), f"no public address: {found}")
    check.true(arn in check.ecs.list_tasks(startedBy="conformance")["taskArns"], "ListTasks does not know the task")

    shown = check.cli("ecs", "describe-tasks", "--tasks", arn)
    check.true(bool(shown) and shown["tasks"][0]["lastStatus"] == "RUNNING", f"aws ecs describe-tasks: {shown}")
    check.ecs.stop_task(task=arn, reason="the check is over")
    check.cli("ecs", "wait", "tasks-stopped", "--tasks", arn)
    stopped = check.described(arn, "STOPPED")
    check.true(stopped.get("stopCode") == "UserInitiated", f"stopCode: {stopped.get('stopCode')}")
    check.true(stopped.get("stoppedReason") == "the check is over", f"stoppedReason: {stopped.get('stoppedReason')}")


def definitions_and_clusters(check: Check) -> None:
    """What surrounds a task."""
    check.sts.get_caller_identity()
    check.ec2.describe_subnets(SubnetIds=[SUBNET])
    check.ec2.describe_security_groups(GroupIds=[GROUP])
    check.ecs.create_cluster(clusterName=CLUSTER)
    names = [arn.rpartition("/")[2] for arn in check.ecs.list_clusters()["clusterArns"]]
    check.true({CLUSTER, "default"} <= set(names), f"clusters: {names}")
    check.ecs.describe_clusters(clusters=[CLUSTER])
    shipped = pathlib.Path(__file__).resolve().parents[2] / "task-definitions" / "test-cli.json"
    definition = json.loads(shipped.read_text(encoding="utf-8")) | {"family": "conformance"}
    arn = check.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    check.ecs.describe_task_definition(taskDefinition="conformance")
    listed = check.ecs.list_task_definitions(familyPrefix="conformance")["taskDefinitionArns"]
    check.true(arn in listed, f"task definitions: {listed}")
    check.ecs.deregister_task_definition(taskDefinition=arn)
    check.refused("ClientException", check.ecs.register_task_definition, **(definition | {"cpu": "300"}))


def ingress_rules(check: Check) -> None:
    """An inbound rule, from its making to its end, by id and by what it admits."""
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    v4 = ssh | {"IpRanges": [{"CidrIp": "203.0.113.7/24", "Description": "conformance, (v4)"}]}
    v6 = ssh | {"Ipv6Ranges": [{"CidrIpv6": "2001:db8::7/128"}]}
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "suite", "Value": "conformance"}]}]
    authorize, revoke = check.ec2.authorize_security_group_ingress, check.ec2.revoke_security_group_ingress
    made = authorize(GroupId=GROUP, IpPermissions=[v4, v6], TagSpecifications=tags)["SecurityGroupRules"]
    ids = [rule["SecurityGroupRuleId"] for rule in made]
    check.true(made[0]["CidrIpv4"] == "203.0.113.0/24", f"host bits stay: {made[0]}")
    check.true(made[1]["Tags"] == tags[0]["Tags"], f"tags of a rule: {made[1]}")
    check.refused("InvalidPermission.Duplicate", authorize, GroupId=GROUP, IpPermissions=[v4])
    check.refused("InvalidGroup.NotFound", authorize, GroupId="sg-404", IpPermissions=[v4])
    check.refused("InvalidGroupId.Malformed", authorize, GroupId="group", IpPermissions=[v4])
    bad = ssh | {"IpRanges": [{"CidrIp": "203.0.113.7/33"}]}
    check.refused("InvalidParameterValue", authorize, GroupId=GROUP, IpPermissions=[bad])
    check.refused("InvalidPermission.Malformed", authorize, GroupId=GROUP, IpPermissions=[v4 | {"IpProtocol": "tpc"}])
    check.refused("DryRunOperation", authorize, GroupId="sg-9", IpPermissions=[v4], DryRun=True)
    group = check.ec2.describe_security_groups(GroupIds=[GROUP])["SecurityGroups"][0]
    check.true(v6["Ipv6Ranges"] in [shown["Ipv6Ranges"] for shown in group["IpPermissions"]], f"the group: {group}")
    describe = check.ec2.describe_security_group_rules
    for name, value in (("group-id", GROUP), ("tag:suite", "conformance"), ("tag-key", "suite"), ("security-group-rule-id", ids[0])):
        found = describe(Filters=[{"Name": name, "Values": [value]}])["SecurityGroupRules"]
        check.true(ids[0] in [rule["SecurityGroupRuleId"] for rule in found], f"{name}={value}: {found}")
    paginator = check.ec2.get_paginator("describe_security_group_rules")
    paged = [rule for page in paginator.paginate(MaxResults=5) for rule in page["SecurityGroupRules"]]
    check.true(set(ids) <= {rule["SecurityGroupRuleId"] for rule in paged}, f"pages: {paged}")
    shown = check.cli("ec2", "describe-security-group-rules", "--security-group-rule-ids", ids[1])
    check.true(bool(shown) and shown["SecurityGroupRules"][0]["CidrIpv6"] == "2001:db8::7/128", f"aws ec2: {shown}")
    revoked = revoke(GroupId=GROUP, SecurityGroupRuleIds=[ids[0]])["RevokedSecurityGroupRules"]
    check.true([rule["SecurityGroupRuleId"] for rule in revoked] == [ids[0]], f"revoked: {revoked}")
    check.refused("InvalidSecurityGroupRuleId.NotFound", revoke, GroupId=GROUP, SecurityGroupRuleIds=[ids[0]])
    check.refused("InvalidSecurityGroupRuleId.Malformed", describe, SecurityGroupRuleIds=["rule"])
    check.refused("InvalidSecurityGroupRuleId.NotFound", describe, SecurityGroupRuleIds=[ids[0]])
    check.refused("InvalidPermission.NotFound", revoke, GroupId=GROUP, IpPermissions=[v4])
    revoke(GroupId=GROUP, IpPermissions=[v6])
    left = describe(Filters=[{"Name": "group-id", "Values": [GROUP]}])["SecurityGroupRules"]
    check.true(not left, f"left: {left}")


def services(check: Check) -> None:
    """A service without tasks, from its making to its end."""
    vpc = {"subnets": [SUBNET], "securityGroups": [GROUP], "assignPublicIp": "DISABLED"}
    request = {
        "serviceName": "conformance",
        "taskDefinition": FAMILY,
        "desiredCount": 0,
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        "networkConfiguration": {"awsvpcConfiguration": vpc},
        "tags": [{"key": "team", "value": "a"}],
    }
    arn = check.ecs.create_service(**request)["service"]["serviceArn"]
    check.refused("InvalidParameterException", check.ecs.create_service, **request)
    check.true(arn in check.ecs.list_services()["serviceArns"], "ListServices does not know the service")
    found = check.ecs.describe_services(services=["conformance", "none"], include=["TAGS"])
    check.true([failure["reason"] for failure in found["failures"]] == ["MISSING"], f"failures: {found['failures']}")
    service = found["services"][0]
    check.true(service["networkConfiguration"]["awsvpcConfiguration"] == vpc, f"network: {service['networkConfiguration']}")
    check.true(service["tags"] == request["tags"], f"tags: {service['tags']}")
    check.ecs.update_service(service=arn, desiredCount=0, taskDefinition=FAMILY)
    check.refused("ServiceNotFoundException", check.ecs.update_service, service="none", desiredCount=1)
    check.refused("ClientException", check.ecs.update_service, service=arn, taskDefinition="none:1")
    check.ecs.delete_service(service=arn)
    shown = check.cli("ecs", "describe-services", "--services", "conformance")
    check.true(bool(shown) and shown["services"][0]["status"] in ("DRAINING", "INACTIVE"), f"after DeleteService: {shown}")


def listings(check: Check) -> None:
    """Lists page by page, the bounds of what is described at once, and the agent behind ECS Exec."""
    ecs = check.ecs
    for number in range(3):
        ecs.create_cluster(clusterName=f"listed-{number}")
    paged = ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2})
    clusters = [arn for page in paged for arn in page["clusterArns"]]
    check.true(len(clusters) == len(set(clusters)) and clusters == ecs.list_clusters()["clusterArns"], f"clusters: {clusters}")
    token = ecs.list_clusters(maxResults=1)["nextToken"]
    ecs.list_clusters(maxResults=2, nextToken=token)
    check.refused("InvalidParameterException", ecs.list_services, nextToken=token)
    check.refused("InvalidParameterException", ecs.list_clusters, nextToken="1")
    check.refused("InvalidParameterException", ecs.list_clusters, maxResults=101)
    described = ecs.describe_clusters(clusters=["listed-1", "nowhere"])
    check.true([failure["reason"] for failure in described["failures"]] == ["MISSING"], f"clusters: {described}")
    check.refused("InvalidParameterException", ecs.describe_services, services=[f"s-{number}" for number in range(11)])
    check.refused("InvalidParameterException", ecs.describe_tasks, tasks=[f"{number:032x}" for number in range(101)])
    check.refused("ClusterNotFoundException", ecs.list_services, cluster="nowhere")
    check.refused("ClusterNotFoundException", ecs.list_tasks, cluster="nowhere")
    check.refused("ServiceNotFoundException", ecs.list_tasks, serviceName="none")
    vpc = {"subnets": [SUBNET], "assignPublicIp": "DISABLED"}
    request = {"taskDefinition": FAMILY, "desiredCount": 0, "launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": vpc}}
    for number in range(12):
        ecs.create_service(cluster="listed-0", serviceName=f"listed-{number}", **request)
    check.true(len(ecs.list_services(cluster="listed-0")["serviceArns"]) == 10, "a page of services is not ten, unasked")
    paginator = ecs.get_paginator("list_services")
    listed = [arn for page in paginator.paginate(cluster="listed-0") for arn in page["serviceArns"]]
    check.true(len(set(listed)) == 12, f"services: {listed}")
    empty = ecs.list_tasks(cluster="listed-0", serviceName="listed-0")
    check.true(empty["taskArns"] == [] and "nextToken" not in empty, f"no tasks: {empty}")
    shown = check.cli("ecs", "list-services", "--cluster", "listed-0")
    check.true(bool(shown) and len(shown["serviceArns"]) == 12, f"aws ecs list-services: {shown}")
    check.refused("InvalidParameterException", ecs.create_service, serviceName="exec", enableExecuteCommand=True, **request)
    role = "arn:aws:iam::000000000000:role/exec"
    without_key = check.request("", overrides={"taskRoleArn": role}, enableExecuteCommand=True)
    task = ecs.run_task(**without_key)["tasks"][0]
    agents = task["containers"][0]["managedAgents"]
    check.true(agents == [{"name": "ExecuteCommandAgent", "lastStatus": "PENDING"}], f"agents: {agents}")
    # Without a key the init ends, and the agent with it.
    agents = check.described(task["taskArn"], "STOPPED")["containers"][0]["managedAgents"]
    check.true([agent["lastStatus"] for agent in agents] == ["STOPPED"], f"agents: {agents}")


def logs(check: Check) -> None:
    """A log group, and a container that writes into it."""
    group = "/conformance/app"
    check.refused("ResourceNotFoundException", check.logs.describe_log_streams, logGroupName=group)
    check.logs.create_log_group(logGroupName=group)
    check.refused("ResourceAlreadyExistsException", check.logs.create_log_group, logGroupName=group)
    groups = check.logs.describe_log_groups(logGroupNamePrefix="/conformance")["logGroups"]
    check.true([known["logGroupName"] for known in groups] == [group], f"log groups: {groups}")
    shipped = pathlib.Path(__file__).resolve().parents[2] / "task-definitions" / "test-cli.json"
    definition = json.loads(shipped.read_text(encoding="utf-8")) | {
        "family": "conformance-logs", "executionRoleArn": "arn:aws:iam::000000000000:role/execution"
    }
    options = {"awslogs-group": group, "awslogs-region": REGION, "awslogs-stream-prefix": "p"}
    definition["containerDefinitions"][0]["logConfiguration"] = {"logDriver": "awslogs", "options": options}
    check.ecs.register_task_definition(**definition)
    # Without a key the init refuses to start, and says so.
    request = check.request("", taskDefinition="conformance-logs", overrides={})
    arn = check.ecs.run_task(**request)["tasks"][0]["taskArn"]
    check.described(arn, "STOPPED")
    stream = f"p/{CONTAINER}/{arn.rpartition('/')[2]}"
    streams = check.logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)["logStreams"]
    check.true([known["logStreamName"] for known in streams] == [stream], f"log streams: {streams}")
    first = check.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    check.true(bool(first["events"]), "the container wrote nothing")
    token = first["nextForwardToken"]
    last = check.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, nextToken=token)
    check.true(last["nextForwardToken"] == token and not last["events"], f"the end is no end: {last}")
    log_pages(check, {"logGroupName": group, "logStreamName": stream}, first)
    found = check.logs.filter_log_events(logGroupName=group, logStreamNames=[stream])["events"]
    check.true([event["message"] for event in found] == [event["message"] for event in first["events"]], f"filtered: {found}")
    check.logs.delete_log_group(logGroupName=group)


def log_pages(check: Check, place: dict, whole: dict) -> None:
    """A stream page by page: tokens are never absent, and the end gives back the one that was sent."""
    read, messages = check.logs.get_log_events, [event["message"] for event in whole["events"]]
    token, paged = {}, []
    for _ in range(len(messages) + 1):
        page = read(**place, startFromHead=True, limit=1, **token)
        paged += [event["message"] for event in page["events"]]
        is_end = page["nextForwardToken"] == token.get("nextToken")
        token = {"nextToken": page["nextForwardToken"]}
    check.true(is_end and paged == messages, f"page by page: {paged}, end {is_end}")
    latest = read(**place, limit=1)
    check.true([event["message"] for event in latest["events"]] == messages[-1:], f"without startFromHead: {latest}")
    before = read(**place, nextToken=latest["nextBackwardToken"])
    check.true([event["message"] for event in before["events"]] == messages[:-1], f"backward: {before}")
    taken_in = [event["ingestionTime"] >= event["timestamp"] for event in whole["events"]]
    check.true(all(taken_in), f"taken in before they were written: {whole['events']}")
    check.refused("InvalidParameterException", read, **place, limit=10_001)
    check.refused("InvalidParameterException", read, **place, nextToken="t")
    check.refused("ResourceNotFoundException", read, **(place | {"logStreamName": "p/none/0"}))
    check.refused("ResourceNotFoundException", read, **(place | {"logGroupName": "/none"}))


def refusals(check: Check, key: str) -> None:
    """What the service refuses, the stand-in refuses."""
    run, request = check.ecs.run_task, check.request(key)
    both = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    long = {"containerOverrides": [{"name": CONTAINER, "environment": [{"name": "LONG", "value": TOO_LONG}]}]}
    check.refused("ClusterNotFoundException", run, **request, cluster="nowhere")
    check.refused("InvalidParameterException", run, **(request | {"count": 11}))
    check.refused("InvalidParameterException", run, **(request | {"overrides": long}))
    check.refused("InvalidParameterException", run, **(request | {"startedBy": "a.b@example.com"}))
    check.refused("InvalidParameterException", run, **request, capacityProviderStrategy=both)
    check.refused("PlatformUnknownException", run, **(request | {"platformVersion": "9.9.9"}))
    check.refused("InvalidParameterException", check.ecs.list_tasks, startedBy="x", desiredStatus="STOPPED")
    check.refused("InvalidParameterException", check.ecs.describe_tasks, tasks=[])
    check.refused("InvalidParameterException", check.ecs.stop_task, task="0" * 32)
    unknown = check.ecs.describe_tasks(tasks=["0" * 32])["failures"]
    check.true([failure["reason"] for failure in unknown] == ["MISSING"], f"an unknown task: {unknown}")
    no_interface = {"NetworkInterfaceIds": ["eni-00000000000000000"]}
    check.refused("InvalidNetworkInterfaceID.NotFound", check.ec2.describe_network_interfaces, **no_interface)
    check.refused("InvalidSubnetID.NotFound", check.ec2.describe_subnets, SubnetIds=["subnet-404"])
    check.refused("InvalidGroup.NotFound", check.ec2.describe_security_groups, GroupIds=["sg-404"])


def sessions(check: Check) -> None:
    """A session of Systems Manager's from its start to its end, what is refused, and the keys behind it."""
    document = "AWS-StartPortForwardingSessionToRemoteHost"
    request = {
        "Target": INSTANCE,
        "DocumentName": document,
        "Parameters": {"host": ["localhost"], "portNumber": ["5432"], "localPortNumber": ["0"]},
        "Reason": "conformance",
    }
    started = check.ssm.start_session(**request)
    resumed = check.ssm.resume_session(SessionId=started["SessionId"])
    check.true(resumed["StreamUrl"] == started["StreamUrl"], f"resumed elsewhere: {resumed['StreamUrl']}")
    check.true(resumed["TokenValue"] != started["TokenValue"], "the token stays the same")
    ended = check.ssm.terminate_session(SessionId=started["SessionId"])
    check.true(ended["SessionId"] == started["SessionId"], f"ended: {ended}")
    start = check.ssm.start_session
    check.refused("TargetNotConnected", start, Target="i-0fedcba9876543210")
    check.refused("InvalidDocument", start, **(request | {"DocumentName": "none"}))
    check.refused("InvalidParameters", start, **(request | {"Parameters": {"portNumber": ["5432"]}}))
    check.refused("DoesNotExistException", check.ssm.resume_session, SessionId="local-none")
    unknown = {"task": "0" * 32, "command": "true", "interactive": True}
    check.refused("InvalidParameterException", check.ecs.execute_command, **unknown)
    check.refused("ClusterNotFoundException", check.ecs.execute_command, cluster="nowhere", **unknown)
    context = {"aws:ssm:SessionId": started["SessionId"], "aws:ssm:TargetId": INSTANCE}
    key = check.kms.generate_data_key(KeyId=KEY, NumberOfBytes=64, EncryptionContext=context)
    opened = check.kms.decrypt(CiphertextBlob=key["CiphertextBlob"], EncryptionContext=context)
    check.true(opened["Plaintext"] == key["Plaintext"] and len(key["Plaintext"]) == 64, "another key comes out")
    check.refused("InvalidCiphertextException", check.kms.decrypt, CiphertextBlob=key["CiphertextBlob"])
    check.refused("NotFoundException", check.kms.generate_data_key, KeyId="alias/none", NumberOfBytes=64)
    plugin_command_line(check)


def plugin_command_line(check: Check) -> None:
    """The AWS CLI hands the stand-in's answer to session-manager-plugin as it would AWS's."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plugin = folder / "session-manager-plugin"
        plugin.write_text(PLUGIN.format(python=sys.executable, said=folder / "said.json"), encoding="utf-8")
        plugin.chmod(0o755)
        check.cli("ssm", "start-session", "--target", INSTANCE, path=name, answers=False)
        said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    answer, region, operation, _profile, parameters, endpoint = said
    answer = json.loads(answer)
    check.true(set(answer) >= {"SessionId", "TokenValue", "StreamUrl"}, f"the plugin gets {sorted(answer)}")
    check.true(answer["StreamUrl"].startswith(check.endpoint.replace("http", "ws", 1)), answer["StreamUrl"])
    check.true([region, operation, endpoint] == [REGION, "StartSession", check.endpoint], f"the plugin is told {said[1:]}")
    check.true(json.loads(parameters)["Target"] == INSTANCE, f"the plugin's target: {parameters}")


def public_key() -> str:
    """A key that nobody will log in with."""
    with tempfile.TemporaryDirectory() as name:
        key = pathlib.Path(name) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
        return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def main() -> None:
    """Runs every check; tells all faults, not only the first."""
    check, key = Check(sys.argv[1]), public_key()
    definitions_and_clusters(check)
    refusals(check, key)
    ingress_rules(check)
    services(check)
    listings(check)
    logs(check)
    sessions(check)
    life_of_a_task(check, key)
    print(f"{len(check.faults.operations)} operations: {', '.join(sorted(check.faults.operations))}")
    for fault in check.faults:
        print(f"fault: {fault}")
    sys.exit(1 if check.faults else 0)


if __name__ == "__main__":
    main()
