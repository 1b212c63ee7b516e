# nix run "git+https://…/mcpwrap?dir=packaging/nix"
{
  description = "A credential-injecting process launcher for MCP servers";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      manifest = (builtins.fromTOML (builtins.readFile ../../Cargo.toml)).package;
    in
    {
      packages = each (pkgs:
        let
          # A static program on Linux: nothing that LD_PRELOAD names is loaded into it.
          platform = if pkgs.stdenv.hostPlatform.isLinux then pkgs.pkgsStatic else pkgs;
        in
        {
          default = platform.rustPlatform.buildRustPackage {
            pname = manifest.name;
            inherit (manifest) version;
            src = ../..;
            cargoLock.lockFile = ../../Cargo.lock;
            cargoBuildFlags = [ "--bin" "mcpwrap" ];
            # The tests need what `cargo xtask deps` installs.
            doCheck = false;
            nativeBuildInputs = [ pkgs.buildPackages.installShellFiles ];
            postInstall = pkgs.lib.optionalString
              (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) ''
              $out/bin/mcpwrap man man1
              installManPage man1/*.1
              installShellCompletion --cmd mcpwrap \
                --bash <($out/bin/mcpwrap completions bash) \
                --zsh <($out/bin/mcpwrap completions zsh) \
                --fish <($out/bin/mcpwrap completions fish)
            '';
            meta = {
              inherit (manifest) description;
              homepage = manifest.repository;
              license = with pkgs.lib.licenses; [ mit asl20 ];
              mainProgram = "mcpwrap";
              platforms = systems;
            };
          };
        });
    };
}
