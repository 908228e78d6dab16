using System.Text;
using Hearth.Vmm.Mmds;

namespace Hearth.Vmm.Tests.Mmds;

public class MmdsTokensTests
{
    [Fact]
    public void A_token_is_valid_until_it_expires()
    {
        var tokens = new MmdsTokens();
        byte[] token = Issue(tokens, ttlSeconds: 1, nowMs: 5000);
        Assert.True(tokens.IsValid(token, 5000));
        Assert.True(tokens.IsValid(token, 5999));
        Assert.False(tokens.IsValid(token, 6000));
    }

    [Fact]
    public void What_was_not_issued_is_not_valid()
    {
        var tokens = new MmdsTokens();
        byte[] token = Issue(tokens, 60, 0);
        Assert.False(new MmdsTokens().IsValid(token, 0));
        Assert.False(tokens.IsValid("INVALID"u8, 0));
        Assert.False(tokens.IsValid(default, 0));
        Assert.False(tokens.IsValid(token.AsSpan(..^1), 0));
        Assert.False(tokens.IsValid(Encoding.ASCII.GetBytes(new string('=', MmdsTokens.EncodedLength)), 0));

        // One character of the part that names the token, and one of the secret.
        foreach (int at in new[] { 3, 40 })
        {
            byte[] other = [.. token];
            other[at] = other[at] == 'A' ? (byte)'B' : (byte)'A';
            Assert.False(tokens.IsValid(other, 0));
        }
    }

    [Fact]
    public void A_full_table_loses_expired_tokens_first_and_then_the_one_nearest_to_it()
    {
        var tokens = new MmdsTokens();
        byte[] expired = Issue(tokens, 1, 0);
        byte[] first = Issue(tokens, 100, 1000);
        byte[] lasting = Issue(tokens, 21600, 1000);
        for (int i = 3; i < MmdsTokens.Capacity; i++)
        {
            Issue(tokens, 200, 1000);
        }

        Issue(tokens, 200, 1000);
        Assert.False(tokens.IsValid(expired, 0));
        Assert.True(tokens.IsValid(first, 1000));
        Issue(tokens, 200, 1000);
        Assert.False(tokens.IsValid(first, 1000));
        Assert.True(tokens.IsValid(lasting, 1000));
    }

    private static byte[] Issue(MmdsTokens tokens, uint ttlSeconds, long nowMs)
    {
        var token = new byte[MmdsTokens.EncodedLength];
        tokens.Issue(ttlSeconds, nowMs, token);
        return token;
    }
}
