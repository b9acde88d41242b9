"""host.json and local.settings.json."""

import json
import os
from datetime import timedelta

import pytest

from durable_app.errors import ConfigError
from durable_app.host.config.options import QueueOptions
from durable_app.host.config.settings import (
    apply_values,
    environment,
    expand_setting,
    read_host_settings,
    read_local_settings,
)


def host(tmp_path, content, **environ):
    if isinstance(content, dict):
        content = json.dumps({"version": "2.0", **content})
    (tmp_path / "host.json").write_text(content)
    return read_host_settings(tmp_path, environ)


def durable(tmp_path, **options):
    return host(tmp_path, {"extensions": {"durableTask": options}})


def local(tmp_path, content):
    (tmp_path / "local.settings.json").write_text(json.dumps(content))
    return read_local_settings(tmp_path)


def test_without_files_the_defaults_hold(tmp_path):
    settings = read_host_settings(tmp_path, {})
    assert settings.extensions.http.route_prefix == "api"
    assert settings.function_timeout == timedelta(minutes=30)
    assert settings.extensions.durable_task.max_orchestration_actions == 100_000
    assert settings.warnings == ()
    assert read_local_settings(tmp_path).values == {}


@pytest.mark.parametrize("text", ["", "{}", " // nothing yet\n"])
def test_an_empty_file_is_one_that_nobody_has_written_yet(tmp_path, text):
    assert host(tmp_path, text).version == "2.0"


def test_keys_and_choices_are_matched_in_any_case(tmp_path):
    settings = host(
        tmp_path,
        {
            "functionTimeout": "1.02:03:04",
            "WATCHdirectories": ["templates"],
            "extensions": {
                "HTTP": {"routeprefix": ""},
                "durableTask": {
                    "HubName": "h",
                    "maxConcurrentActivityFunctions": "3",
                    "overridableexistinginstancestates": "anystate",
                    "defaultVersion": 2,
                },
            },
        },
    )
    durable_task = settings.extensions.durable_task
    assert settings.extensions.http.route_prefix == ""
    assert durable_task.hub_name == "h"
    assert durable_task.max_concurrent_activity_functions == 3
    assert durable_task.overridable_existing_instance_states == "AnyState"
    assert durable_task.default_version == "2"
    assert settings.watch_directories == ["templates"]
    assert settings.function_timeout == timedelta(days=1, hours=2, minutes=3, seconds=4)
    assert settings.warnings == ()


def test_what_means_nothing_here_is_accepted_in_silence(tmp_path):
    settings = host(
        tmp_path,
        {
            "$schema": "x",
            "extensionBundle": {"id": "i", "version": "[4.*, 5.0.0)"},
            "healthMonitor": {"enabled": True},
            "logging": {
                "applicationInsights": {"samplingSettings": {"isEnabled": True}},
                "fileLoggingMode": "never",
                "console": {"isEnabled": False, "formatterName": "simple"},
            },
            "extensions": {
                "serviceBus": {"maxConcurrentCalls": 1},
                "http": {"dynamicThrottlesEnabled": True},
                "durableTask": {
                    "hubName": None,
                    "useAppLease": True,
                    "notifications": {"eventGrid": {"topicEndpoint": "t"}},
                    "storageProvider": {"type": "AzureStorage", "trackingStoreNamePrefix": "x"},
                },
            },
        },
    )
    assert settings.warnings == ()
    assert settings.logging.console.is_enabled is False


DOCUMENTED = """{
  "version": "2.0",
  "aggregator": {"batchSize": 1000, "flushTimeout": "00:00:30"},
  "concurrency": {"dynamicConcurrencyEnabled": true},
  "customHandler": {},
  "extensions": {
    "blobs": {}, "cosmosDb": {}, "eventHubs": {}, "sendGrid": {}, "serviceBus": {}, "kafka": {},
    "signalR": {}, "eventGrid": {}, "sql": {}, "mcp": {}, "dapr": {}, "warmup": {},
    "durableTask": {
      "hubName": "Hub", "defaultVersion": "1.0", "versionMatchStrategy": "CurrentOrOlder",
      "versionFailureStrategy": "Reject", "maxConcurrentActivityFunctions": 10,
      "maxConcurrentOrchestratorFunctions": 10, "maxConcurrentEntityFunctions": 10,
      "extendedSessionsEnabled": false, "extendedSessionIdleTimeoutInSeconds": 30,
      "useAppLease": true, "appLeaseOptions": {"leaseInterval": "00:00:30"},
      "useGracefulShutdown": false, "maxEntityOperationBatchSize": 50,
      "maxOrchestrationActions": 100000, "storeInputsInOrchestrationHistory": false,
      "overridableExistingInstanceStates": "NonRunningStates",
      "entityMessageReorderWindowInMinutes": 30, "rollbackEntityOperationsOnExceptions": true,
      "throwStatusExceptionsOnRaiseEvent": true, "localRpcEndpointEnabled": true,
      "maxGrpcMessageSizeInBytes": 4194304, "grpcHttpClientTimeout": "00:01:40",
      "storageProvider": {
        "type": "AzureStorage", "connectionName": "AzureWebJobsStorage", "partitionCount": 4,
        "controlQueueBatchSize": 32, "controlQueueBufferThreshold": 256,
        "controlQueueVisibilityTimeout": "00:05:00", "maxQueuePollingInterval": "00:00:30",
        "workItemQueueVisibilityTimeout": "00:05:00", "FetchLargeMessagesAutomatically": true,
        "trackingStoreConnectionStringName": "T", "trackingStoreNamePrefix": "DurableTask",
        "useLegacyPartitionManagement": false, "useTablePartitionManagement": true,
        "allowReplayingTerminalInstances": false, "queueClientMessageEncoding": "UTF8"
      },
      "tracing": {
        "traceInputsAndOutputs": false, "traceReplayEvents": false,
        "distributedTracingEnabled": false, "distributedTracingProtocol": "W3CTraceContext",
        "version": "V2"
      },
      "notifications": {"eventGrid": {"topicEndpoint": "https://t", "publishRetryCount": 3}},
      "httpSettings": {"defaultAsyncRequestSleepTimeMilliseconds": 500, "useForwardedHost": true}
    },
    "http": {
      "routePrefix": "api", "maxOutstandingRequests": 200, "maxConcurrentRequests": 100,
      "dynamicThrottlesEnabled": true, "hsts": {"isEnabled": true, "maxAge": "10"},
      "customHeaders": {"X-Content-Type-Options": "nosniff"}
    },
    "queues": {
      "maxPollingInterval": "00:00:02", "visibilityTimeout": "00:00:30", "batchSize": 16,
      "maxDequeueCount": 5, "newBatchThreshold": 8, "messageEncoding": "base64"
    }
  },
  "extensionBundle": {"id": "x", "version": "[4.0.0, 5.0.0)"},
  "functions": ["One"], "functionTimeout": "00:05:00",
  "healthMonitor": {"enabled": true},
  "logging": {
    "fileLoggingMode": "debugOnly", "logLevel": {"Function.One": "Information", "default": "None"},
    "applicationInsights": {"samplingSettings": {"isEnabled": true}},
    "console": {"isEnabled": false}
  },
  "managedDependency": {"enabled": true}, "sendCanceledInvocationsToWorker": true,
  "retry": {
    "strategy": "exponentialBackoff", "maxRetryCount": -1, "minimumInterval": "00:00:10",
    "maximumInterval": "00:15:00"
  },
  "singleton": {"lockPeriod": "00:00:15"}, "telemetryMode": "OpenTelemetry",
  "watchDirectories": ["Shared"], "watchFiles": ["one.txt"]
}"""


def test_every_documented_option_is_known(tmp_path):
    settings = host(tmp_path, DOCUMENTED)
    assert settings.warnings == ()
    assert settings.extensions.durable_task.http_settings.use_forwarded_host is True
    assert settings.retry is not None
    assert settings.retry.max_retry_count == -1


def test_another_storage_provider_has_options_of_its_own(tmp_path):
    provider = {"type": "mssql", "schemaName": "dt", "connectionStringNam": "x"}
    (warning,) = durable(tmp_path, storageProvider=provider).warnings
    assert "connectionStringNam is not known here. Did you mean 'connectionStringName'?" in warning


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (
            {"extensions": {"durableTask": {"hubNme": "x"}}},
            "host.json: extensions.durableTask.hubNme is not known here. Did you mean 'hubName'?",
        ),
        (
            {"extensions": {"durableTask": {"partitionCount": 4}}},
            "host.json: extensions.durableTask.partitionCount is not known here."
            " Did you mean 'storageProvider.partitionCount'?",
        ),
        (
            {"extensions": {"durableTask": {"tracing": {"traceInputs": True}}}},
            "host.json: extensions.durableTask.tracing.traceInputs is not known here."
            " Did you mean 'traceInputsAndOutputs'?",
        ),
        (
            {"extensions": {"durabletasks": {}}},
            "host.json: extensions.durabletasks is not known here. Did you mean 'durableTask'?",
        ),
        (
            {"extensions": {"http": {"routeprefixes": ""}}},
            "host.json: extensions.http.routeprefixes is not known here."
            " Did you mean 'routePrefix'?",
        ),
        (
            {"functionTimeOuts": 1},
            "host.json: functionTimeOuts is not known here. Did you mean 'functionTimeout'?",
        ),
        ({"logging": {"zzz": 1}}, "host.json: logging.zzz is not known here."),
        (
            {"logging": {"logLevel": {"Function": "Inform"}}},
            "host.json: logging.logLevel.Function: 'Inform' is no log level and is ignored."
            " Did you mean 'Information'?",
        ),
        (
            {"logging": {"logLevel": {"default": "loud"}}},
            "host.json: logging.logLevel.default: 'loud' is no log level and is ignored. Known"
            " levels: Trace, Debug, Information, Warning, Error, Critical, None.",
        ),
    ],
)
def test_what_nobody_reads_gets_a_warning_with_the_nearest_name(tmp_path, content, warning):
    assert host(tmp_path, content).warnings == (warning,)


def test_log_levels_get_their_proper_names(tmp_path):
    levels = {"Default": "debug", "Host.Results": 3, "x": "None", "y": "?"}
    settings = host(tmp_path, {"logging": {"logLevel": levels}})
    assert settings.logging.log_level == {
        "default": "Debug",
        "Host.Results": "Warning",
        "x": "None",
    }


def test_a_timeout_of_minus_one_is_none(tmp_path):
    assert host(tmp_path, {"functionTimeout": "-1"}).function_timeout is None
    assert host(tmp_path, {"functionTimeout": -1}).function_timeout is None


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:05", timedelta(minutes=5)),
        ("1:02:03.5", timedelta(hours=1, minutes=2, seconds=3.5)),
        ("2:03:04:05", timedelta(days=2, hours=3, minutes=4, seconds=5)),
        ("00:00:01.0000019", timedelta(seconds=1, microseconds=1)),
    ],
)
def test_time_spans_of_dotnet(tmp_path, text, span):
    assert host(tmp_path, {"functionTimeout": text}).function_timeout == span


def test_options_of_the_other_extensions(tmp_path):
    extensions = {
        "http": {
            "maxOutstandingRequests": 5,
            "customHeaders": {"X-A": "1"},
            "hsts": {"isEnabled": True, "maxAge": "10"},
        },
        "queues": {"batchSize": 4, "visibilityTimeout": "00:00:30", "messageEncoding": "None"},
    }
    settings = host(tmp_path, {"extensions": extensions}).extensions
    assert settings.http.max_outstanding_requests == 5
    assert settings.http.max_concurrent_requests == -1
    assert settings.http.custom_headers == {"X-A": "1"}
    assert settings.http.hsts.max_age == timedelta(days=10)
    assert settings.queues.new_batch_threshold == 2
    assert settings.queues.max_polling_interval == timedelta(minutes=1)
    assert settings.queues.visibility_timeout == timedelta(seconds=30)
    assert settings.queues.message_encoding == "none"


def test_queues_have_the_defaults_of_azure(tmp_path):
    queues = host(tmp_path, {"extensions": {"queues": {"maxDequeueCount": 2}}}).extensions.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (16, 8, 2)
    own = host(tmp_path, {"extensions": {"queues": {"batchSize": 8, "newBatchThreshold": 1}}})
    assert own.extensions.queues.new_batch_threshold == 1


def test_options_can_be_made_by_hand():
    queues = QueueOptions(batch_size=4, visibility_timeout=timedelta(seconds=1))
    assert (queues.new_batch_threshold, queues.visibility_timeout) == (2, timedelta(seconds=1))


def test_a_retry_policy_of_the_whole_app(tmp_path):
    policy = {"strategy": "FixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:10"}
    retry = host(tmp_path, {"retry": policy}).retry
    assert retry is not None
    assert (retry.strategy, retry.max_retry_count) == ("fixedDelay", 2)
    assert retry.delay_interval == timedelta(seconds=10)
    with pytest.raises(ConfigError, match=r"host\.json: retry\.maxRetryCount: is required"):
        host(tmp_path, {"retry": {"strategy": "fixedDelay"}})
    with pytest.raises(ConfigError, match=r"retry: a fixed delay needs a delay interval"):
        host(tmp_path, {"retry": {"strategy": "fixedDelay", "maxRetryCount": 1}})


def test_comments_and_last_commas_are_allowed(tmp_path):
    text = """{
      // of the host
      "version": "2.0", /* always
      */ "functionTimeout": "00:10:00", "watchFiles": ["http://x/*.py", "a,]",],
    }"""
    settings = host(tmp_path, text)
    assert settings.function_timeout == timedelta(minutes=10)
    assert settings.watch_files == ["http://x/*.py", "a,]"]


def test_the_environment_overrides_single_options(tmp_path):
    settings = host(
        tmp_path,
        {"functions": ["a", "b"], "extensions": {"durableTask": {"hubName": "file"}}},
        **{
            "AzureFunctionsJobHost__extensions__DurableTask__hubName": "env",
            "AzureFunctionsJobHost:extensions:http:routePrefix": "v1",
            "azurefunctionsjobhost__logging__console__isEnabled": "False",
            "AzureFunctionsJobHost__functions__1": "c",
            "AzureFunctionsJobHost__functions__2": "d",
            "AzureFunctionsJobHost__watchFiles__0": "x.txt",
            "AzureFunctionsJobHost__": "nothing",
        },
    )
    assert settings.extensions.durable_task.hub_name == "env"
    assert settings.extensions.http.route_prefix == "v1"
    assert settings.logging.console.is_enabled is False
    assert settings.functions == ["a", "c", "d"]
    assert settings.watch_files == ["x.txt"]


VERSION = "AzureFunctionsJobHost__version"


@pytest.mark.parametrize("content", ['{"version": "1.0"}', '{"logging": {}}', "", "{}"])
def test_the_environment_overrides_the_version(tmp_path, content):
    assert host(tmp_path, content, **{VERSION: "2.0"}).version == "2.0"
    with pytest.raises(ConfigError, match=rf'^{VERSION}: version "3.0" is not supported'):
        host(tmp_path, content, **{VERSION: "3.0"})
    with pytest.raises(ConfigError, match=rf"^{VERSION}: the required property 'version'"):
        host(tmp_path, content, **{VERSION: ""})


def test_what_is_wrong_in_an_override_is_told_by_its_name(tmp_path):
    name = "AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"
    with pytest.raises(ConfigError, match=rf"^{name}: extensions\.durableTask.*\"many\""):
        host(tmp_path, {}, **{name: "many"})
    typo = "AzureFunctionsJobHost__extensions__durableTask__hubbName"
    (warning,) = host(tmp_path, {"logging": {}}, **{name: "1", typo: "x"}).warnings
    assert warning.startswith(f"{typo}: extensions.durableTask.hubbName is not known here.")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"version": "2.0",\n  oops}', r"host\.json, line 2, column 3: not valid JSON"),
        ('{"version": "2.0", /* no\n end', r"line 1, column 20: not valid JSON"),
        ('{"version": "2.0",,}', "line 1, column 19: not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "must be a JSON object, not a list"),
        ("null", "must be a JSON object, not null"),
        ("1", "must be a JSON object, not a number"),
        ('{"version": "1.0"}', 'version "1.0" is not supported. Write "version": "2.0"'),
        ('{"functionTimeout": "-1"}', "the required property 'version' is missing"),
        ({"functionTimeout": "soon"}, 'functionTimeout: is no time span .* [(]it is "soon"[)]'),
        ({"functionTimeout": 5}, "functionTimeout: is no time span .* [(]it is 5[)]"),
        ({"functionTimeout": "24:00:00"}, "1.00:00:00"),
        ({"functionTimeout": "00:00:00"}, "is too short"),
        ({"functionTimeout": "99999999999.00:00:00"}, "longer than any time span"),
        ({"functions": "a"}, "functions: .*list"),
        ({"extensions": []}, r"extensions: Input should be an object \(it is a list\)"),
        ({"extensions": {"queues": 1}}, r"extensions\.queues: .*\(it is 1\)"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, content, text):
    with pytest.raises(ConfigError, match=text):
        host(tmp_path, content)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("maxConcurrentActivityFunctions", "many", 'integer.*"many"'),
        ("maxConcurrentActivityFunctions", 0, "greater than or equal to 1"),
        ("maxConcurrentActivityFunctions", True, "is no whole number .it is true."),
        ("overridableExistingInstanceStates", "None", "NonRunningStates"),
        ("versionMatchStrategy", "Loose", "'None', 'Strict' or 'CurrentOrOlder'"),
        ("storageProvider", "mssql", "storageProvider: .*"),
        ("extendedSessionsEnabled", "maybe", "boolean"),
    ],
)
def test_a_wrong_durable_option_is_named(tmp_path, option, value, text):
    with pytest.raises(ConfigError, match=rf"extensions\.durableTask\.{option}: .*{text}|{text}"):
        durable(tmp_path, **{option: value})


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "host.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"host\.json cannot be read"):
        read_host_settings(tmp_path, {})


def test_local_values_go_to_the_environment_unless_they_are_there(tmp_path):
    settings = local(
        tmp_path,
        {
            "IsEncrypted": False,
            "Values": {"A": "1", "B": "2", "C": None, "D": True, "E": 5},
            "ConnectionStrings": {"Sql": "s", "Old": {"ConnectionString": "o"}, "No": None},
        },
    )
    environ = {"A": "mine"}
    notes = apply_values(settings, environ)
    assert environ == {
        "A": "mine",
        "B": "2",
        "D": "true",
        "E": "5",
        "ConnectionStrings:Sql": "s",
        "ConnectionStrings__Sql": "s",
        "ConnectionStrings:Old": "o",
        "ConnectionStrings__Old": "o",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
    }
    assert notes == [
        "Skipping 'A' from local settings as it's already defined in current environment variables."
    ]


def test_the_local_host(tmp_path):
    settings = local(
        tmp_path,
        {
            "Host": {
                "LocalHttpPort": 7072,
                "localhttpaddress": "0.0.0.0",
                "CORS": "http://a, http://b",
                "CORSCredentials": "true",
            }
        },
    )
    assert settings.host.local_http_port == 7072
    assert settings.host.local_http_address == "0.0.0.0"
    assert settings.host.cors_origins == ("http://a", "http://b")
    assert settings.host.cors_credentials is True
    assert local(tmp_path, {}).host.cors_origins == ()


def test_misspelt_sections_of_the_local_settings_are_told(tmp_path):
    (warning,) = local(tmp_path, {"Value": {"A": "1"}}).warnings
    assert warning == "local.settings.json: Value is not known here. Did you mean 'Values'?"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"IsEncrypted": True, "Values": {"A": {"x": 1}}}, "is encrypted"),
        ({"isencrypted": "true"}, "is encrypted"),
        ({"Values": {"A": {"b": 1}}}, "Values: 'A' is an object: .*A__B"),
        ({"Values": {"A": [1]}}, "Values: 'A' is a list"),
        ({"Values": {"": "x"}}, "Values: '' cannot be an environment variable"),
        ({"Values": {"A=B": "x"}}, "Values: 'A=B' cannot be"),
        ({"Values": {"A": "\0"}}, "Values: 'A' cannot be"),
        ({"Values": {"A": "\ud800"}}, "Values: 'A' cannot be"),
        ({"ConnectionStrings": {"\0": "x"}}, "ConnectionStrings: .* cannot be"),
        ({"Values": []}, r"Values: .*\(it is a list\)"),
        ({"ConnectionStrings": {"A": {"b": 1}}}, "ConnectionStrings: 'A' is an object"),
        ({"ConnectionStrings": 1}, "ConnectionStrings: "),
        ({"Host": {"LocalHttpPort": 70000}}, r"Host\.LocalHttpPort: .*65535.*70000"),
    ],
)
def test_wrong_local_settings_are_refused(tmp_path, content, text):
    with pytest.raises(ConfigError, match=text):
        local(tmp_path, content)


def test_a_setting_stands_for_the_whole_text_only():
    assert expand_setting("%HUB%", {"HUB": "h1"}, "hubName") == "h1"
    assert expand_setting("x%HUB%", {"HUB": "h1"}, "hubName") == "x%HUB%"
    with pytest.raises(ConfigError, match="hubName: '%NO%' does not resolve to a value"):
        expand_setting("%NO%", {}, "hubName")


def test_the_environment_is_that_of_the_process():
    assert environment() is os.environ


def test_a_header_that_no_answer_can_carry_is_refused(tmp_path):
    header = {"X-A": "a\r\nSet-Cookie: b"}
    host_json = {"version": "2.0", "extensions": {"http": {"customHeaders": header}}}
    (tmp_path / "host.json").write_text(json.dumps(host_json))
    with pytest.raises(ConfigError, match="no HTTP answer can carry the header 'X-A'"):
        read_host_settings(tmp_path, {})
