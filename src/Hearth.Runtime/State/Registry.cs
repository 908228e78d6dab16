using System.Collections.Concurrent;
using System.Security.Cryptography;
using Hearth.Runtime.Pods;

namespace Hearth.Runtime.State;

/// <summary>
/// Things by their ID, found by the beginning of it too, and names that only one of them can have. Thread: any.
/// </summary>
internal sealed class Registry<T>(string what)
    where T : class
{
    private readonly ConcurrentDictionary<string, T> _entries = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _names = new(StringComparer.Ordinal);

    public IEnumerable<T> All => _entries.Select(static pair => pair.Value);

    /// <summary>64 hexadecimal digits that nobody can foresee.</summary>
    public static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <exception cref="PodException">AlreadyExists, naming who has the name.</exception>
    public void Reserve(string name, string id, string shown)
    {
        if (!_names.TryAdd(name, id))
        {
            throw new PodException(PodFault.AlreadyExists, $"There is {what} {shown} already: {_names.GetValueOrDefault(name, "it is just being removed")}. Remove it, or ask for another attempt.");
        }
    }

    public void Release(string name, string id) => _names.TryRemove(new KeyValuePair<string, string>(name, id));

    public void Add(string id, T entry) => _entries[id] = entry;

    public void Remove(string id) => _entries.TryRemove(id, out _);

    /// <summary>By its ID, or the beginning of it; null where there is none.</summary>
    /// <exception cref="PodException">InvalidArgument: several begin so.</exception>
    public T? Find(string id)
    {
        if (_entries.TryGetValue(id, out T? entry))
        {
            return entry;
        }

        if (id.Length is 0 or >= 64)
        {
            return null;
        }

        T[] fitting = [.. _entries.Where(pair => pair.Key.StartsWith(id, StringComparison.Ordinal)).Select(static pair => pair.Value).Take(2)];
        return fitting.Length < 2 ? fitting.FirstOrDefault() : throw new PodException(PodFault.InvalidArgument, $"Several have an ID that begins with {id}: give more of it.");
    }

    /// <exception cref="PodException">NotFound; InvalidArgument: several begin so.</exception>
    public T Get(string id) => Find(id) ?? throw new PodException(PodFault.NotFound, $"There is no {what} \"{id}\".");
}
