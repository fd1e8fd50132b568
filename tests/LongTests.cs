namespace Vmm.Tests;

/// <summary>A test that takes minutes: runs with <c>./test --all</c> and is skipped without.</summary>
internal sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute() => Skip = LongTests.SkipReason;
}

/// <summary>The same with cases.</summary>
internal sealed class LongTheoryAttribute : TheoryAttribute
{
    public LongTheoryAttribute() => Skip = LongTests.SkipReason;
}

internal static class LongTests
{
    private const string Variable = "VMM_TEST_ALL";

    public static string? SkipReason => Environment.GetEnvironmentVariable(Variable) == "1" ? null : "takes minutes: ./test --all";
}
