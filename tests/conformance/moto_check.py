"""Serves moto, an ECS and EC2 that others wrote, on a loopback port for as long as standard input stays open.

First line of standard output: where it is and what stands ready in it. Then, for every line of standard input, one line with
the inbound rules as moto has them, if that line says `rules`, else with the tasks. All lines are JSON. What moto cannot show (order of states, stop codes, public addresses) is not
asked of it.
"""

import json
import logging
import pathlib
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "task-definitions" / "test-cli.json"
REGION = "us-east-1"
# moto moves a task on with every DescribeTasks unless it is told how many calls a state lasts.
CALLS_PER_STATE = 1000


def client(endpoint: str, service: str):
    """A boto3 client of the server, with credentials that are worth nothing."""
    return boto3.client(
        service, endpoint_url=endpoint, region_name=REGION, aws_access_key_id="moto", aws_secret_access_key="moto"
    )


def hold_states(endpoint: str) -> None:
    """Keeps a task in RUNNING while it is described."""
    transition = {"progression": "manual", "times": CALLS_PER_STATE}
    body = json.dumps({"model_name": "ecs::task", "transition": transition}).encode()
    request = urllib.request.Request(f"{endpoint}/moto-api/state-manager/set-transition", data=body)
    urllib.request.urlopen(request, timeout=10).close()


def prepare(endpoint: str) -> dict[str, str]:
    """Cluster, task definition, subnet, security group, and a service without tasks."""
    ecs, ec2 = client(endpoint, "ecs"), client(endpoint, "ec2")
    ecs.create_cluster(clusterName="default")
    definition = json.loads(DEFINITION.read_text(encoding="utf-8"))
    for container in definition["containerDefinitions"]:
        # moto fails on containers without memory of their own; ECS does not ask for it.
        container["memory"] = int(definition["memory"])
    ecs.register_task_definition(**definition)
    subnet = ec2.describe_subnets()["Subnets"][0]
    of_vpc = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
    group = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"][0]
    network = {"awsvpcConfiguration": {"subnets": [subnet["SubnetId"]], "securityGroups": [group["GroupId"]]}}
    ecs.create_service(
        serviceName="web", taskDefinition=definition["family"], desiredCount=0, launchType="FARGATE",
        networkConfiguration=network,
    )
    return {
        "endpoint_url": endpoint,
        "region": REGION,
        "task_definition": definition["family"],
        "subnet": subnet["SubnetId"],
        "security_group": group["GroupId"],
    }


def tasks(endpoint: str) -> list[dict]:
    """Every task of the cluster, running or stopped."""
    ecs = client(endpoint, "ecs")
    arns = {arn for status in ("RUNNING", "STOPPED") for arn in ecs.list_tasks(desiredStatus=status)["taskArns"]}
    return ecs.describe_tasks(tasks=sorted(arns), include=["TAGS"])["tasks"] if arns else []


def rules(endpoint: str) -> list[dict]:
    """Every inbound rule of every group."""
    found = client(endpoint, "ec2").describe_security_group_rules()["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"] and "ReferencedGroupInfo" not in rule]


def main() -> None:
    """Serves until standard input is closed."""
    # A line per request would be all that the reader of standard error sees.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        hold_states(endpoint)
        print(json.dumps(prepare(endpoint)), flush=True)
        for line in sys.stdin:
            found = rules(endpoint) if line.strip() == "rules" else tasks(endpoint)
            print(json.dumps(found, default=str), flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
