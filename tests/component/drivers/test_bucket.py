# SPDX-License-Identifier: Apache-2.0
"""The bucket driver on SeaweedFS with its IAM API: made, compared, repaired, left to others, ended."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from claims import claim, converge, mark
from processes import free_port

from island_hopper_api.reasons import Reason
from island_hopper_api.storage_binding import CredentialsKind
from island_hopper_operator.diff.externals import compare_bucket
from island_hopper_operator.drivers.bucket import BucketDriver
from island_hopper_operator.drivers.s3 import ObjectStore, ObjectStoreEndpoint, ObjectStoreTimeouts
from island_hopper_operator.errors import BucketOwnedByOther, ObjectStoreRefused, ObjectStoreUnreachable
from island_hopper_operator.externals import AccessKey, BucketDesired

QUICK = ObjectStoreTimeouts(connect_s=2, read_s=10)

numbers = itertools.count()


@pytest.fixture
def endpoint(s3_server):
    admin = AccessKey(s3_server.access_key, s3_server.secret_key)
    return ObjectStoreEndpoint(s3_server.endpoint, s3_server.region, admin, iam=True)


@pytest.fixture
async def driver(endpoint):
    driver = BucketDriver(endpoint, QUICK)
    yield driver
    await driver.close()


@pytest.fixture
async def sharing(endpoint):
    """A driver for a store whose IAM API is not to be used."""
    driver = BucketDriver(replace(endpoint, iam=False), QUICK)
    yield driver
    await driver.close()


@pytest.fixture
def desired():
    return BucketDesired(mark(), f"hop-team-main-{next(numbers)}")


@pytest.fixture
def client(s3_server):
    """Clients of the test's own, by service and key: the admin's, or another."""
    session, made = botocore.session.get_session(), {}

    def get(service="s3", key=None):
        key = key or AccessKey(s3_server.access_key, s3_server.secret_key)
        if (service, key) not in made:
            made[service, key] = session.create_client(
                service,
                endpoint_url=s3_server.endpoint,
                region_name=s3_server.region,
                aws_access_key_id=key.key_id,
                aws_secret_access_key=key.secret,
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            )
        return made[service, key]

    yield get
    for each in made.values():
        each.close()


async def one_pass(driver, desired, by=None):
    return await converge(driver, compare_bucket, desired, by)


def refusal(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def tags_of(client, bucket):
    return {tag["Key"]: tag["Value"] for tag in client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]}


def bucket_exists(client, bucket):
    return bucket in {each["Name"] for each in client("s3").list_buckets()["Buckets"]}


def users(client):
    return {each["UserName"] for each in client("iam").list_users()["Users"]}


def key_ids(client, user):
    return {key["AccessKeyId"] for key in client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]}


class Calls:
    """Every call that drivers make: counted, and fatal after one of them."""

    def __init__(self, monkeypatch):
        self._call = ObjectStore.call
        self.operations, self.fatal = [], None
        monkeypatch.setattr(ObjectStore, "call", lambda *args, **parameters: self._counted(*args, **parameters))

    async def _counted(self, store, service, operation, **parameters):
        answer = await self._call(store, service, operation, **parameters)
        if operation.split("_")[0] not in ("get", "list", "head"):
            self.operations.append(operation)
            if len(self.operations) == self.fatal:
                raise Crash
        return answer


class Crash(BaseException):
    """Not an error of any kind that the driver knows."""


@pytest.fixture
def writes(monkeypatch):
    return Calls(monkeypatch)


async def test_nothing_is_observed_before_and_everything_after_create(driver, desired, client):
    assert await driver.observe(desired) is None
    await driver.create(desired, claim())
    observed = await driver.observe(desired)
    assert compare_bucket(desired, observed) == ()
    assert observed.key_accepted is None
    assert tags_of(client, desired.bucket) == desired.mark.to_dict()


async def test_a_converged_bucket_costs_no_write(driver, desired, writes):
    await driver.create(desired, claim())
    desired = replace(desired, key=await driver.create_key(desired))
    writes.operations.clear()
    assert await one_pass(driver, desired) == ()
    await driver.create(desired, claim())
    assert writes.operations == []


async def test_the_key_opens_its_bucket_for_objects_and_nothing_else(driver, desired, client):
    other = replace(desired, bucket=f"{desired.bucket}-other", mark=mark("other", uid="uid-2"))
    await driver.create(desired, claim())
    await driver.create(other, claim())
    assert driver.credentials_kind is CredentialsKind.DEDICATED
    key = await driver.create_key(desired)
    assert (await driver.observe(replace(desired, key=key))).key_accepted is True
    s3 = client("s3", key)
    s3.put_object(Bucket=desired.bucket, Key="a/b", Body=b"1")
    assert s3.get_object(Bucket=desired.bucket, Key="a/b")["Body"].read() == b"1"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=desired.bucket)["Contents"]] == ["a/b"]
    upload = s3.create_multipart_upload(Bucket=desired.bucket, Key="big")["UploadId"]
    part = s3.upload_part(Bucket=desired.bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"2")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=desired.bucket, Key="big", UploadId=upload, MultipartUpload=parts)
    upload = s3.create_multipart_upload(Bucket=desired.bucket, Key="big")["UploadId"]
    s3.abort_multipart_upload(Bucket=desired.bucket, Key="big", UploadId=upload)
    s3.delete_object(Bucket=desired.bucket, Key="a/b")
    assert refusal(s3.list_objects_v2, Bucket=other.bucket) == 403
    assert refusal(s3.put_object, Bucket=other.bucket, Key="x", Body=b"") == 403
    assert refusal(s3.put_bucket_tagging, Bucket=desired.bucket, Tagging={"TagSet": []}) == 403
    assert refusal(s3.delete_bucket, Bucket=desired.bucket) == 403
    assert refusal(s3.create_bucket, Bucket="bucket-of-an-agent") == 403
    assert refusal(client("iam", key).list_users) == 403
    assert key.secret not in repr(key)


async def test_a_key_that_does_not_work_is_told_and_replaced(driver, desired, client):
    await driver.create(desired, claim())
    key = await driver.create_key(desired)
    for wrong in (replace(key, secret="x" * 40), AccessKey("AKIA0000000000000000", "y" * 40)):
        assert (await driver.observe(replace(desired, key=wrong))).key_accepted is False
    client("iam").delete_access_key(UserName=desired.user, AccessKeyId=key.key_id)
    assert (await driver.observe(replace(desired, key=key))).key_accepted is False
    new = await driver.create_key(replace(desired, key=key))
    assert (await driver.observe(replace(desired, key=new))).key_accepted is True


async def test_keys_that_a_crash_left_unknown_are_removed_by_the_next_create_and_the_current_one_stays(
    driver, desired, client
):
    await driver.create(desired, claim())
    for _ in range(3):
        await driver.create_key(desired)
        assert len(key_ids(client, desired.user)) == 1
    current = await driver.create_key(desired)
    lost = await driver.create_key(replace(desired, key=current))
    new = await driver.create_key(replace(desired, key=current))
    assert key_ids(client, desired.user) == {current.key_id, new.key_id}
    assert lost.key_id not in key_ids(client, desired.user)
    await driver.delete_key(desired, current.key_id)
    await driver.delete_key(desired, current.key_id)
    assert key_ids(client, desired.user) == {new.key_id}


async def test_a_key_cannot_be_made_before_the_user_or_for_a_stranger(driver, desired):
    with pytest.raises(ObjectStoreRefused, match="absent or not ours"):
        await driver.create_key(desired)
    await driver.create(desired, claim())
    with pytest.raises(ObjectStoreRefused, match="absent or not ours"):
        await driver.create_key(replace(desired, mark=mark("second", uid="uid-2")))


async def test_drift_of_policy_and_user_is_told_and_repaired(driver, desired, client):
    await driver.create(desired, claim())
    iam = client("iam")
    wide = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}'
    for drift, field in (
        (lambda: iam.put_user_policy(UserName=desired.user, PolicyName="island-hopper", PolicyDocument=wide), "policy"),
        (lambda: iam.delete_user_policy(UserName=desired.user, PolicyName="island-hopper"), "policy"),
        (lambda: iam.delete_user(UserName=desired.user), "user of the bucket"),
    ):
        drift()
        assert any(field in difference.field for difference in await one_pass(driver, desired))
        assert await one_pass(driver, desired) == ()


async def test_a_missing_policy_is_not_taken_for_a_refused_key(driver, desired, client):
    await driver.create(desired, claim())
    desired = replace(desired, key=await driver.create_key(desired))
    client("iam").delete_user_policy(UserName=desired.user, PolicyName="island-hopper")
    assert (await driver.observe(desired)).key_accepted is None
    await one_pass(driver, desired)
    assert (await driver.observe(desired)).key_accepted is True


async def test_a_bucket_deleted_by_hand_is_made_again(driver, desired, client):
    await driver.create(desired, claim())
    client("s3").delete_bucket(Bucket=desired.bucket)
    assert [difference.field for difference in await one_pass(driver, desired)] == ["bucket"]
    assert await one_pass(driver, desired) == ()


async def test_tags_of_others_stay_when_a_part_of_the_mark_is_repaired(driver, desired, client):
    await driver.create(desired, claim())
    later = replace(desired, mark=mark(uid="uid-2"))
    tags = [{"Key": k, "Value": v} for k, v in {**desired.mark.to_dict(), "cost-center": "42"}.items()]
    client("s3").put_bucket_tagging(Bucket=desired.bucket, Tagging={"TagSet": tags})
    assert await one_pass(driver, desired) == ()
    await one_pass(driver, later, claim(adopt=True))
    assert tags_of(client, desired.bucket) == {**later.mark.to_dict(), "cost-center": "42"}


@pytest.mark.parametrize("tags", [{}, {"team": "payments"}], ids=["no-tags", "tags-of-others"])
async def test_a_bucket_without_mark_is_refused_without_adopt_and_taken_over_with_it(driver, desired, client, tags):
    s3 = client("s3")
    s3.create_bucket(Bucket=desired.bucket)
    if tags:
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=desired.bucket, Tagging={"TagSet": tag_set})
    s3.put_object(Bucket=desired.bucket, Key="theirs", Body=b"1")
    with pytest.raises(BucketOwnedByOther, match=r"bears no owner's mark: set spec\.adopt: true"):
        await one_pass(driver, desired)
    with pytest.raises(BucketOwnedByOther) as refused:
        await one_pass(driver, desired, claim(adopt=True, allowed=False))
    assert refused.value.reason is Reason.ADOPTION_NOT_ALLOWED
    await driver.delete(desired)
    await driver.release(desired)
    assert bucket_exists(client, desired.bucket)
    assert desired.user not in users(client)
    await one_pass(driver, desired, claim(adopt=True))
    assert await one_pass(driver, desired) == ()
    assert tags_of(client, desired.bucket) == {**tags, **desired.mark.to_dict()}
    assert s3.get_object(Bucket=desired.bucket, Key="theirs")["Body"].read() == b"1"


async def test_an_empty_bucket_that_was_there_before_is_no_remnant_of_ours(driver, desired, client):
    client("s3").create_bucket(Bucket=desired.bucket)
    with pytest.raises(BucketOwnedByOther):
        await one_pass(driver, desired)
    await driver.delete(desired)
    assert bucket_exists(client, desired.bucket)


async def test_of_two_bindings_that_name_one_bucket_the_second_is_refused_and_deletes_nothing(driver, desired, client):
    second = replace(desired, mark=mark("second", uid="uid-2"))
    await driver.create(desired, claim())
    key = await driver.create_key(desired)
    for attempt in (driver.create(second, claim(adopt=True)), one_pass(driver, second, claim(adopt=True))):
        with pytest.raises(BucketOwnedByOther, match="belongs to StorageBinding team/main of cluster cluster-1"):
            await attempt
    await driver.delete(second)
    await driver.release(second)
    await driver.delete_key(second, key.key_id)
    assert (await driver.observe(replace(desired, key=key))).key_accepted is True


async def test_a_bucket_that_somebody_creates_at_the_same_moment_is_theirs_and_our_user_goes(
    driver, desired, client, monkeypatch
):
    call = ObjectStore.call

    async def racing(store, service, operation, **parameters):
        if operation == "create_bucket":
            client("s3").create_bucket(Bucket=desired.bucket)
        return await call(store, service, operation, **parameters)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "call", racing)
        with pytest.raises(BucketOwnedByOther, match="exists since a moment ago"):
            await driver.create(desired, claim())
    assert desired.user not in users(client)
    with pytest.raises(BucketOwnedByOther, match="bears no owner's mark"):
        await one_pass(driver, desired)
    await driver.delete(desired)
    assert bucket_exists(client, desired.bucket)


async def test_a_user_of_somebody_else_with_the_buckets_name_is_left_alone_whatever_adopt_says(driver, desired, client):
    iam = client("iam")
    iam.create_user(UserName=desired.user)
    iam.create_access_key(UserName=desired.user)
    before = key_ids(client, desired.user)
    with pytest.raises(BucketOwnedByOther, match=r"user .* bears no owner's mark: remove it by hand"):
        await one_pass(driver, desired, claim(adopt=True))
    await driver.delete(desired)
    assert key_ids(client, desired.user) == before
    assert not bucket_exists(client, desired.bucket)


async def test_release_takes_user_and_keys_and_leaves_bucket_objects_and_mark_for_a_later_adoption(
    driver, desired, client
):
    await driver.create(desired, claim())
    key = await driver.create_key(desired)
    client("s3", key).put_object(Bucket=desired.bucket, Key="kept", Body=b"1")
    await driver.release(desired)
    await driver.release(desired)
    assert refusal(client("s3", key).list_objects_v2, Bucket=desired.bucket) == 403
    assert desired.user not in users(client)
    assert tags_of(client, desired.bucket) == desired.mark.to_dict()
    again = replace(desired, mark=mark(uid="uid-2"))
    with pytest.raises(BucketOwnedByOther, match="left by an earlier StorageBinding team/main with UID uid-1"):
        await one_pass(driver, again)
    await one_pass(driver, again, claim(adopt=True))
    assert await one_pass(driver, again) == ()
    new = await driver.create_key(again)
    assert client("s3", new).get_object(Bucket=desired.bucket, Key="kept")["Body"].read() == b"1"


async def test_delete_ends_versions_markers_uploads_bucket_user_and_keys_and_is_repeatable(driver, desired, client):
    await driver.create(desired, claim())
    key = await driver.create_key(desired)
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=desired.bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(5):
        for version in range(2):
            s3.put_object(Bucket=desired.bucket, Key=f"folder/{number}", Body=str(version).encode())
    s3.delete_object(Bucket=desired.bucket, Key="folder/0")
    s3.create_multipart_upload(Bucket=desired.bucket, Key="unfinished")
    await driver.delete(desired)
    assert not bucket_exists(client, desired.bucket)
    assert desired.user not in users(client)
    assert refusal(client("s3", key).list_objects_v2, Bucket=desired.bucket) in (403, 404)
    assert await driver.observe(desired) is None
    await driver.delete(desired)


async def test_more_objects_than_one_page_are_deleted(driver, desired, client, monkeypatch):
    monkeypatch.setattr("island_hopper_operator.drivers.bucket_contents.PAGE", 3)
    await driver.create(desired, claim())
    for number in range(8):
        client("s3").put_object(Bucket=desired.bucket, Key=f"k{number}", Body=b"")
    await driver.delete(desired)
    assert not bucket_exists(client, desired.bucket)


@pytest.mark.timeout(120)
async def test_after_a_crash_between_any_two_calls_a_second_run_converges(driver, desired, client, writes):
    async def crash(action, after):
        writes.operations.clear()
        writes.fatal = after
        try:
            await action
        except Crash:
            return True
        finally:
            writes.fatal = None
        return False

    async def make_all():
        await driver.create(desired, claim())
        await driver.create_key(desired)

    for fatal in itertools.count(1):
        crashed = await crash(make_all(), fatal)
        await one_pass(driver, desired)
        key = await driver.create_key(desired)
        assert await one_pass(driver, replace(desired, key=key)) == ()
        assert key_ids(client, desired.user) == {key.key_id}
        client("s3", key).put_object(Bucket=desired.bucket, Key="object", Body=b"1")
        crashed = await crash(driver.delete(desired), fatal) or crashed
        await driver.delete(desired)
        assert not bucket_exists(client, desired.bucket)
        assert desired.user not in users(client)
        if not crashed:
            break
    assert fatal > 5


async def test_without_iam_the_admins_key_is_shared_and_what_a_crash_leaves_is_known_by_its_age(
    sharing, desired, client
):
    assert sharing.credentials_kind is CredentialsKind.SHARED
    client("s3").create_bucket(Bucket=desired.bucket)
    older = replace(desired, not_before=datetime.now(UTC) + timedelta(minutes=1))
    for stranger in (desired, older):
        with pytest.raises(BucketOwnedByOther):
            await one_pass(sharing, stranger)
    remnant = replace(desired, not_before=datetime.now(UTC) - timedelta(minutes=1))
    await one_pass(sharing, remnant)
    assert await one_pass(sharing, remnant) == ()
    key = await sharing.create_key(remnant)
    assert (await sharing.observe(replace(remnant, key=key))).key_accepted is True
    assert (await sharing.observe(replace(remnant, key=replace(key, secret="old")))).key_accepted is False
    await sharing.delete_key(remnant, key.key_id)
    await sharing.delete(remnant)
    assert not bucket_exists(client, desired.bucket)
    assert desired.user not in users(client)


async def test_a_wrong_key_of_the_admin_is_a_refusal_without_the_secret(endpoint, desired):
    driver = BucketDriver(replace(endpoint, admin=replace(endpoint.admin, secret="wrong-canary")), QUICK)
    with pytest.raises(
        ObjectStoreRefused,
        match=r"SignatureDoesNotMatch.*the admin's key, in the Secret of objectStore.adminSecretRef, is wrong",
    ) as refused:
        await driver.observe(desired)
    assert "wrong-canary" not in str(refused.value)
    await driver.close()


async def test_an_endpoint_that_is_no_url_is_a_refusal(endpoint, desired):
    driver = BucketDriver(replace(endpoint, endpoint="seaweed"), QUICK)
    with pytest.raises(ObjectStoreRefused, match="not a URL"):
        await driver.observe(desired)
    await driver.close()
    driver = BucketDriver(replace(endpoint, region="no region"), QUICK)
    with pytest.raises(ObjectStoreRefused, match="malformed"):
        await driver.observe(desired)
    await driver.close()


async def test_a_server_without_iam_is_a_refusal_that_names_the_setting(endpoint, desired):
    """An S3 server that knows no IAM, as far as the driver gets with it."""

    async def answer(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        is_iam = request.startswith("POST / ")
        code = "MethodNotAllowed" if is_iam else "NoSuchTagSet"
        body = f"<Error><Code>{code}</Code></Error>"
        status = "405 Method Not Allowed" if is_iam else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        driver = BucketDriver(replace(endpoint, endpoint=url), QUICK)
        with pytest.raises(ObjectStoreRefused, match=r"objectStore\.iam: false"):
            await driver.observe(desired)
        await driver.close()


async def test_nothing_listening_is_unreachable_in_time(endpoint, desired):
    driver = BucketDriver(replace(endpoint, endpoint=f"http://127.0.0.1:{free_port()}"), QUICK)
    with pytest.raises(ObjectStoreUnreachable, match="does not answer"):
        await driver.observe(desired)
    await driver.close()


async def test_a_server_that_accepts_and_never_answers_is_unreachable_in_time(endpoint, desired):
    held = []
    async with await asyncio.start_server(lambda *streams: held.append(streams), "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        driver = BucketDriver(replace(endpoint, endpoint=url), ObjectStoreTimeouts(connect_s=0.3, read_s=0.3))
        with pytest.raises(ObjectStoreUnreachable, match="ReadTimeoutError"):
            await driver.observe(desired)
        await driver.close()
        for _, writer in held:
            writer.close()


async def test_a_call_that_nobody_awaits_any_more_gives_its_place_back(endpoint):
    held = []
    async with await asyncio.start_server(lambda *streams: held.append(streams), "127.0.0.1", 0) as silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        store = ObjectStore(replace(endpoint, endpoint=url), ObjectStoreTimeouts(connect_s=0.5, read_s=0.5), workers=1)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await store.call("s3", "list_buckets")
        with pytest.raises(ObjectStoreUnreachable):
            await store.call("s3", "list_buckets")
        store.close()
        for _, writer in held:
            writer.close()


async def test_a_killed_server_is_unreachable_and_the_same_driver_goes_on_after_its_restart(driver, desired, s3_server):
    await driver.create(desired, claim())
    desired = replace(desired, key=await driver.create_key(desired))
    s3_server.kill()
    try:
        with pytest.raises(ObjectStoreUnreachable):
            await driver.observe(desired)
    finally:
        s3_server.start()
    assert await one_pass(driver, desired) == ()
    assert (await driver.observe(desired)).key_accepted is True
