# SPDX-License-Identifier: Apache-2.0
"""What restarts pods and what does not, and which configurations are kept."""

import base64

from fake_kube import Body
from operator_world import AGENT, NAMESPACE, ROUTE, OperatorProcess, World

from island_hopper_operator.engine.store import Key
from island_hopper_operator.kube.resources import CONFIG_MAP, SERVICE


async def running() -> tuple[World, OperatorProcess]:
    world = World()
    world.quickstart()
    process = world.start()
    await process.run_to_ready()
    world.journal.clear()
    return world, process


def configs(world: World) -> set[str]:
    return {name for name in world.names("ConfigMap") if "-config-" in name}


def digest(world: World) -> str:
    return str(world.status("Agent", "support")["configHash"])


async def edited(world: World, process: OperatorProcess, number: int) -> str:
    world.apply("Agent", "support", AGENT | {"instructions": f"Answer in {number} words."})
    await process.run_to_ready()
    return f"support-config-{digest(world)}"


async def test_a_configuration_is_kept_while_a_replica_set_names_it_and_no_longer() -> None:
    world, process = await running()
    first = f"support-config-{digest(world)}"
    names = [first, await edited(world, process, 1), await edited(world, process, 2)]
    assert configs(world) == set(names), "the two older ones can be rolled back to"
    newest = await edited(world, process, 3)
    assert configs(world) == {*names[1:], newest}


async def test_a_configuration_that_never_ran_is_pruned_at_once() -> None:
    world, process = await running()
    world.apply("Agent", "support", AGENT | {"instructions": "first thought"})
    await process.settle()
    overtaken = f"support-config-{digest(world)}"
    world.apply("Agent", "support", AGENT | {"instructions": "second thought"})
    await process.settle()
    assert overtaken not in configs(world)
    assert f"support-config-{digest(world)}" in configs(world)
    await process.run_to_ready()


async def test_nothing_is_pruned_while_the_new_plan_is_not_applied() -> None:
    world, process = await running()
    before = configs(world)
    world.kube.remove("Service", NAMESPACE, "support")
    world.kube.put(SERVICE, {"metadata": {"name": "support", "namespace": NAMESPACE}, "spec": {"theirs": True}})
    world.apply("Agent", "support", AGENT | {"instructions": "else"})
    await process.settle()
    assert before <= configs(world)


async def test_what_somebody_else_labels_as_ours_is_not_pruned() -> None:
    world, process = await running()
    labels = world.kube.objects["Secret", NAMESPACE, "support-api"]["metadata"]["labels"]
    world.kube.put(CONFIG_MAP, {"metadata": {"name": "copied", "namespace": NAMESPACE, "labels": labels}, "data": {}})
    await process.resync()
    assert "copied" in world.names("ConfigMap")


async def test_a_rotated_database_credential_is_one_new_configuration() -> None:
    world, process = await running()
    before = digest(world)
    world.kube.remove("Secret", NAMESPACE, "main-credentials")
    world.journal.clear()
    await process.run_to_ready()
    assert digest(world) != before
    assert [written for written in world.journal.did() if "Deployment" in written] == ["apply Deployment support"]
    world.journal.clear()
    await process.resync()
    assert world.journal.writes == []


async def test_a_rotated_key_of_the_route_changes_the_keys_and_nothing_else() -> None:
    world, process = await running()
    before = digest(world)
    world.secret("openai", {"api-key": "rotated"})
    world.journal.clear()
    await process.settle()
    assert world.journal.did() == ["apply Secret support-keys"]
    assert world.data("support-keys")["target.main"] == "rotated"
    assert digest(world) == before


async def test_a_key_that_is_named_no_more_leaves_the_keys() -> None:
    world, process = await running()
    assert set(world.data("support-keys")) == {"target.main", "principal.web"}
    world.apply("Agent", "support", {key: value for key, value in AGENT.items() if key != "auth"})
    await process.run_to_ready()
    assert set(world.data("support-keys")) == {"target.main"}


async def test_an_edited_route_changes_the_route_file_and_restarts_nothing() -> None:
    world, process = await running()
    before = digest(world)
    other = {"targets": [ROUTE["targets"][0] | {"model": "other"}]}
    world.apply("ModelRoute", "default", other)
    world.journal.clear()
    await process.settle()
    assert [written for written in world.journal.did() if not written.startswith("status")] == [
        "apply ConfigMap support-route"
    ]
    assert digest(world) == before
    assert "generation: 2" in world.kube.objects["ConfigMap", NAMESPACE, "support-route"]["data"]["route.yaml"]


async def test_bus_credentials_are_renewed_at_half_their_life_without_a_rollout() -> None:
    world, process = await running()
    (due_in_s,) = process.due_in_s.values()
    assert due_in_s == 1800
    before, creds = digest(world), world.data("support-bus")["bus.creds"]
    world.advance(1799)
    await process.resync()
    assert world.journal.writes == []
    world.advance(2)
    await process.resync()
    assert [written for written in world.journal.did() if "Event" not in written] == ["apply Secret support-bus"]
    assert world.data("support-bus")["bus.creds"] != creds
    assert digest(world) == before


async def test_limits_that_are_withdrawn_leave_the_deployment() -> None:
    world, process = await running()
    limited = AGENT | {"runtime": {"resources": {"limits": {"cpu": "1000m"}}}}
    world.apply("Agent", "support", limited)
    await process.run_to_ready()
    container = world.kube.objects["Deployment", NAMESPACE, "support"]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "1"}
    world.journal.clear()
    await process.resync()
    assert world.journal.writes == [], "1000m and 1 are one amount"
    world.apply("Agent", "support", AGENT)
    await process.run_to_ready()
    container = world.kube.objects["Deployment", NAMESPACE, "support"]["spec"]["template"]["spec"]["containers"][0]
    assert not container["resources"].get("limits")


async def test_an_edited_credentials_secret_is_one_rollout_and_never_one_onto_the_edit() -> None:
    world, process = await running()
    before = configs(world)

    def spoil(body: Body) -> None:
        body["data"]["postgres-url"] = base64.b64encode(b"postgresql://somebody:else@nowhere/x").decode()

    world.kube.edit("Secret", NAMESPACE, "main-credentials", spoil)
    await process.pass_over(Key("Agent", NAMESPACE, "support"))
    assert configs(world) == before, "the Agent waits for what the binding makes of it"
    await process.run_to_ready()
    assert "nowhere" not in world.data("main-credentials")["postgres-url"]
    assert len(configs(world) - before) == 1
