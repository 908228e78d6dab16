namespace Hearth.Vmm.Mmds.Http;

/// <summary>The methods that Firecracker's reader knows; all others are answered with 501.</summary>
internal enum HttpMethod
{
    Get,
    Put,
    Patch,
    Delete,
}
