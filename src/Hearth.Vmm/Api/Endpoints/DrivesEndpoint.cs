using System.Text.Json;
using Hearth.Linux;
using Hearth.Vmm.Actions;
using Hearth.Vmm.Api.Json;
using Hearth.Vmm.Configuration;

namespace Hearth.Vmm.Api.Endpoints;

/// <summary>PUT and PATCH <c>/drives/{id}</c>. Source: Firecracker swagger Drive, PartialDrive.</summary>
internal sealed class DrivesEndpoint : Endpoint
{
    public override string Path => "drives";

    public override string MetricName => "drive";

    public override bool HasId => true;

    public override string Section => "drives";

    public override bool SectionIsArray => true;

    public override VmmAction Put(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(
            body, "drive_id", "partuuid", "is_root_device", "cache_type", "is_read_only", "path_on_host", "rate_limiter", "io_engine", "socket");
        string driveId = CheckId(json, id);
        var drive = new DriveConfig
        {
            DriveId = driveId,
            PathOnHost = json.OptionalString("path_on_host"),
            Socket = json.OptionalString("socket"),
            IsRootDevice = json.RequiredBool("is_root_device"),
            IsReadOnly = json.OptionalBool("is_read_only") ?? false,
            PartUuid = json.OptionalString("partuuid"),
            CacheType = json.OptionalWord<CacheType>("cache_type", ("Unsafe", CacheType.Unsafe), ("Writeback", CacheType.Writeback)) ?? CacheType.Unsafe,
            IoEngine = json.OptionalWord<IoEngine>("io_engine", ("Sync", IoEngine.Sync), ("Async", IoEngine.Async)) ?? IoEngine.Sync,
            RateLimiter = RateLimiterJson.Read(json, "rate_limiter"),
        };
        if (drive.IoEngine == IoEngine.Async)
        {
            throw new ApiException("The Async io_engine is not supported by hearth-vmm yet: leave io_engine out.");
        }

        // Either of the two, and what a back end decides is not asked for beside it.
        bool isRemoteWithMore = drive.Socket is not null && (json.Has("is_read_only") || json.Has("rate_limiter") || json.Has("io_engine"));
        return (drive.PathOnHost is null) == (drive.Socket is null) || isRemoteWithMore
            ? throw new ConfigurationException("Drive config error: Unable to create the virtio block device: Invalid block config.")
            : new InsertDrive(drive);
    }

    public override VmmAction Patch(string? id, ReadOnlySpan<byte> body)
    {
        JsonBody json = JsonBody.Parse(body, "drive_id", "path_on_host", "rate_limiter");
        return new UpdateDrive(CheckId(json, id), json.OptionalString("path_on_host"), RateLimiterJson.Read(json, "rate_limiter"));
    }

    public override bool WriteSection(Utf8JsonWriter json, VmResources resources)
    {
        json.WriteStartArray();
        foreach (DriveConfig drive in resources.Devices<DriveConfig>())
        {
            json.WriteStartObject();
            json.WriteString("drive_id", drive.DriveId);
            json.WriteString("partuuid", drive.PartUuid);
            json.WriteBoolean("is_root_device", drive.IsRootDevice);
            json.WriteString("cache_type", drive.CacheType.ToString());
            if (drive.Socket is null)
            {
                json.WriteBoolean("is_read_only", drive.IsReadOnly);
            }
            else
            {
                json.WriteNull("is_read_only");
            }

            json.WriteString("path_on_host", drive.PathOnHost);
            RateLimiterJson.Write(json, "rate_limiter", drive.RateLimiter);
            json.WriteString("io_engine", drive.Socket is null ? drive.IoEngine.ToString() : null);
            json.WriteString("socket", drive.Socket);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        return true;
    }

    private static string CheckId(JsonBody json, string? id)
    {
        string driveId = json.RequiredString("drive_id");
        return id is null || id == driveId ? driveId : throw new ApiException("The id from the path does not match the id from the body!");
    }

    private static void CheckFile(string path, bool isReadOnly)
    {
        const string Prefix = "Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: ";
        if (isReadOnly)
        {
            HostFile.CheckReadable(path, Prefix);
        }
        else
        {
            HostFile.CheckWritable(path, Prefix);
        }
    }

    private static void CheckSocket(string path)
    {
        if (UnixStream.Probe(path) is var problem and not Errno.None)
        {
            throw new ConfigurationException(
                "Drive config error: Unable to create the virtio block device: Vhost user backend error: Vhost-user error: Failed to connect to UDS Unix stream: "
                + $"{LinuxException.Describe(problem)} (os error {(int)problem})");
        }
    }

    private sealed record InsertDrive(DriveConfig Drive) : VmmAction
    {
        public override VmmResponse RunPreboot(PrebootController preboot)
        {
            if (Drive.IsRootDevice && preboot.Resources.Devices<DriveConfig>().Any(d => d.IsRootDevice && d.DriveId != Drive.DriveId))
            {
                throw new ConfigurationException("Drive config error: A root block device already exists!");
            }

            if (Drive.Socket is not null)
            {
                CheckSocket(Drive.Socket);
            }
            else
            {
                CheckFile(Drive.PathOnHost!, Drive.IsReadOnly);
            }

            preboot.Resources.PutDevice(Drive, first: Drive.IsRootDevice);
            return VmmResponse.Empty;
        }
    }

    private sealed record UpdateDrive(string DriveId, string? PathOnHost, RateLimiterConfig? RateLimiter) : VmmAction
    {
        public override VmmResponse RunRuntime(RuntimeController runtime)
        {
            DriveConfig drive = runtime.Resources.FindDevice<DriveConfig>(DriveId)
                ?? throw new ConfigurationException(
                    $"Drive config error: Unable to patch the block device: There is no drive with the id {DriveId}. Please verify the request arguments.");
            if (drive.Socket is not null && (PathOnHost is not null || RateLimiter is not null))
            {
                throw new ConfigurationException(
                    "Drive config error: Unable to patch the block device: Running method expected different backend. Please verify the request arguments.");
            }

            if (PathOnHost is not null)
            {
                CheckFile(PathOnHost, drive.IsReadOnly);
            }

            runtime.Machine.UpdateDrive(DriveId, PathOnHost, RateLimiter);
            runtime.Resources.PutDevice(drive with
            {
                PathOnHost = PathOnHost ?? drive.PathOnHost,
                RateLimiter = RateLimiterConfig.Merge(drive.RateLimiter, RateLimiter),
            });
            return VmmResponse.Empty;
        }
    }
}
