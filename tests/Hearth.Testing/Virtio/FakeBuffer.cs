namespace Hearth.Testing.Virtio;

/// <summary>A piece of guest memory that a fake driver lends to a device.</summary>
public readonly record struct FakeBuffer(ulong Address, uint Length, bool Writable);

/// <summary>A chain that came back: the descriptor it began with, and how many bytes the device says it wrote.</summary>
public readonly record struct UsedElement(ushort Head, uint Length);
