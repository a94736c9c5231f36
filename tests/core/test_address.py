import pytest

from flowsynth.core.address import parse_remote, without_password


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("s3://bucket", "s3://bucket"),
        (" s3://bucket/a/ ", "s3://bucket/a"),
        ("s3://my.bucket-1/a/b c/", "s3://my.bucket-1/a/b c"),
        ("gs://bucket/x", "gs://bucket/x"),
        ("file:///mnt/share/", "file:///mnt/share"),
        ("file:///mnt/a%20b", "file:///mnt/a b"),
        (None, None),
        (3, 3),
    ],
)
def test_what_is_an_address(given: object, used: object) -> None:
    assert parse_remote(given) == used


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "expected s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER"),
        ("bucket/x", "expected s3://"),
        ("s4://bucket", "did you mean 's3'"),
        ("files:///x", "did you mean 'file'"),
        ("http://host/x", "expected s3://"),
        ("s3://", "expected s3://"),
        ("s3:///x", "expected s3://"),
        ("s3://bucket/../x", "expected s3://"),
        ("s3://bucket/a//b", "expected s3://"),
        ("s3://bucket/x?region=eu", "expected s3://"),
        ("s3://bucket/x#y", "expected s3://"),
        ("s3://key:word@bucket/x", "no name and no password in it"),
        ("file://share/x", "the whole path of a folder"),
        ("file://~/x", "the whole path of a folder"),
        ("file:///a\0b", "the whole path of a folder"),
    ],
)
def test_what_is_none(given: str, said: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        parse_remote(given)
    assert said in str(error.value)
    assert "word" not in str(error.value).replace("password", "")


def test_passwords_are_cut_out_of_texts() -> None:
    assert without_password("'s3://a:b@c/d' and http://e/f@g") == "'s3://...@c/d' and http://e/f@g"
