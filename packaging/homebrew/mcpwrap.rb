# `cargo xtask dist` fills this in for a release.
class Mcpwrap < Formula
  desc "{{description}}"
  homepage "{{repository}}"
  version "{{version}}"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "{{url:aarch64-apple-darwin}}"
      sha256 "{{sha256:aarch64-apple-darwin}}"
    end
    on_intel do
      url "{{url:x86_64-apple-darwin}}"
      sha256 "{{sha256:x86_64-apple-darwin}}"
    end
  end
  on_linux do
    on_arm do
      url "{{url:aarch64-unknown-linux-musl}}"
      sha256 "{{sha256:aarch64-unknown-linux-musl}}"
    end
    on_intel do
      url "{{url:x86_64-unknown-linux-musl}}"
      sha256 "{{sha256:x86_64-unknown-linux-musl}}"
    end
  end

  def install
    bin.install "mcpwrap"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/mcpwrap"
    zsh_completion.install "completions/_mcpwrap"
    fish_completion.install "completions/mcpwrap.fish"
  end

  test do
    ENV["MCPWRAP_HOME"] = testpath/"home"
    assert_match version.to_s, shell_output("#{bin}/mcpwrap --version")
    system bin/"mcpwrap", "init", "--store", "file", "--key-file", testpath/"key"
  end
end
