using Vmm.Host.Guest;

namespace Vmm.Host.Tests.Guest;

public sealed class GuestKernelTests
{
    [Theory]
    [InlineData("cloud", "trixie", null, "vmlinuz-cloud", "linux-image-cloud-arm64")]
    [InlineData("generic", "sid", null, "vmlinuz-generic-sid", "linux-image-arm64")]
    [InlineData("16k", "trixie-backports", "7.0", "vmlinuz-pages16k-trixie-backports-7.0", "linux-image-arm64-16k")]
    [InlineData("cloud", "bookworm-backports", null, "vmlinuz-cloud-bookworm-backports", "linux-image-cloud-arm64")]
    public void Words_make_a_kernel_with_a_file_of_its_own(string flavour, string suite, string? release, string file, string package)
    {
        GuestKernel kernel = GuestFetch.Parse(flavour, suite, release);
        Assert.Equal((file, package), (kernel.FileName, kernel.MetaPackage));
    }

    [Theory]
    [InlineData("--flavour 64k", "unknown flavour '64k': cloud, generic or 16k")]
    [InlineData("--suite buster", "unknown suite 'buster': trixie, trixie-backports, sid or bookworm-backports")]
    [InlineData("--release 7.x", "--release takes the beginning of a kernel release, such as 7.0, not '7.x'")]
    [InlineData("--release ../../7", "--release takes the beginning of a kernel release, such as 7.0, not '../../7'")]
    public async Task Unknown_word_is_one_line_that_names_the_known_ones(string words, string line) =>
        Assert.Equal((1, "", $"vmm: {line}\n"), await VmmProcess.RunAsync(["guest", "fetch", .. words.Split(' ')]));

    [Theory]
    [InlineData(GuestFlavour.Cloud, "7.0", "linux-image-7.0.13+deb13-cloud-arm64")]
    [InlineData(GuestFlavour.Generic, "7.0", "linux-image-7.0.9+deb13-arm64")]
    [InlineData(GuestFlavour.Pages16K, "7.0", "linux-image-7.0.10+deb13-arm64-16k")]
    [InlineData(GuestFlavour.Cloud, "7", "linux-image-7.10.1+deb13-cloud-arm64")]
    [InlineData(GuestFlavour.Cloud, "7.1", "linux-image-7.1.2+deb13-cloud-arm64")]
    [InlineData(GuestFlavour.Cloud, "7.0.9", "linux-image-7.0.9+deb13-cloud-arm64")]
    [InlineData(GuestFlavour.Cloud, "7.0.1", null)]
    [InlineData(GuestFlavour.Cloud, "6.1", null)]
    public void Newest_package_of_a_release_is_by_number_and_of_the_flavour(GuestFlavour flavour, string release, string? expected) =>
        Assert.Equal(expected, new GuestKernel(flavour, "trixie-backports", release).Newest(
        [
            "linux-image-7.0.9+deb13-cloud-arm64", "linux-image-7.0.13+deb13-cloud-arm64", "linux-image-7.0.13+deb13-cloud-arm64-dbg",
            "linux-image-7.0.14+deb13-cloud-arm64-unsigned", "linux-image-7.0.9+deb13-arm64", "linux-image-7.0.10+deb13-arm64-16k",
            "linux-image-7.0.14+deb13-rt-arm64", "linux-image-7.1.2+deb13-cloud-arm64", "linux-image-7.10.1+deb13-cloud-arm64",
            "linux-image-cloud-arm64",
        ]));
}
