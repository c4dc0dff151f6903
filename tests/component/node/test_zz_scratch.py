import asyncio, random, os
import pytest
from island_hopper_cli.node.errors import ApiError

@pytest.mark.timeout(200)
async def test_churn(cluster, processes):
    rnd = random.Random(4)
    code = "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']); time.sleep(600)"
    async def one(i):
        name = f"p{i}"
        init = [cluster.python("pass", "init")] if i % 2 else []
        await cluster.pod(name, cluster.python(code), initContainers=init, terminationGracePeriodSeconds=1)
        await asyncio.sleep(rnd.random() * 1.5)
        try:
            await cluster.api.delete(cluster.path("pods", name), {"gracePeriodSeconds": 0} if i % 5 == 0 else {})
        except ApiError as e:
            print(name, e)
        await cluster.until_gone("pods", name)
    for wave in range(3):
        await asyncio.gather(*(one(wave * 20 + i) for i in range(20)))
    await processes.until_none()
    left = list((cluster.node.state / "pods").iterdir())
    print("left folders", left)
    os.system(f"grep -E 'WARN|ERROR|Traceback' {cluster.node.log} | cut -c1-300 | sort | uniq -c | head -20; grep -A20 Traceback {cluster.node.log} | head -60")
    print("fds", len(os.listdir(f"/proc/{cluster.node.process.pid}/fd")))
