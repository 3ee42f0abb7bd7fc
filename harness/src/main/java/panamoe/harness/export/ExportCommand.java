package panamoe.harness.export;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.gguf.GgufWriter;
import panamoe.harness.HubModels;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.Count;
import panamoe.io.WholeOrNothing;
import panamoe.io.Words;
import panamoe.model.family.AdapterFiles;
import panamoe.model.family.ExportedModel;
import panamoe.open.AdaptedBase;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe export}. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Writes a model as a Hugging Face folder or a GGUF file, for the families that transformers and llama.cpp know.",
    footer = {
      "",
      "Examples:",
      "  panamoe export qwen --to hf --out ~/Qwen3-mine           a run that train --from began",
      "  panamoe export novels --to gguf --out novels.gguf        a run of train --arch mixtral",
      "  panamoe export ~/Qwen3-30B-A3B --to gguf --dtype q8_0 --out qwen3-moe.gguf",
      "  panamoe export novels-q4 --to gguf --out q4.gguf         a folder of quantize, with its blocks",
      "  panamoe export mixtral.gguf --to hf --dtype bf16 --out mixtral",
      "  panamoe export mine --adapter --to hf --out adapter      a run of train --lora, for PEFT",
      "",
      "It works tensor by tensor, so the model may be larger than memory. An export that fails leaves no file.",
      "Of train's --arch, only mixtral is such a family; the others stay in Panamoe's own layout.",
      "docs/released-models.md has more.",
      "--device, --threads and --seed, common to all commands, do not change the output."
    })
public final class ExportCommand implements Subcommand {
  enum Format {
    HF,
    GGUF
  }

  @Mixin private SharedOptions shared;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A run's folder, a checkpoint, a released model's folder, .gguf file or name (hf:OWNER/REPO).")
  private Path model;

  @Mixin private HubModels named;

  @Option(
      names = "--to",
      paramLabel = "LAYOUT",
      required = true,
      description = "hf (a Hugging Face folder) or gguf (a file for llama.cpp).")
  private Format to;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "f32 or bf16, in GGUF also f16, q8_0 or q4_0. Default: F32 and BF16 weights unchanged, in GGUF also blocks; others as f32.")
  private StoredType dtype;

  @Option(
      names = "--without-tokenizer",
      description = "Leave the tokenizer out if the layout cannot hold it.")
  private boolean withoutTokenizer;

  @Option(
      names = "--adapter",
      description =
          "Write the adapters that train --lora trained, without their model: with --to hf PEFT's folder, with --to gguf llama.cpp's file. Otherwise they are added to the weights.")
  private boolean adapter;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "PATH",
      required = true,
      description = "The new folder or .gguf file; must not exist.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    if (to == Format.GGUF && !ModelFolder.isGguf(out)) {
      throw shared.usage("--to gguf writes a file: --out must end in .gguf");
    }
    if (to == Format.HF && dtype != null && dtype != StoredType.F32 && dtype != StoredType.BF16) {
      throw shared.usage(
          "--dtype %s is for GGUF; a Hugging Face folder has f32 or bf16",
          dtype.name().toLowerCase(Locale.ROOT));
    }
    shared.require(
        !adapter || dtype == null && !withoutTokenizer,
        "--adapter writes float32 matrices alone and takes neither --dtype nor --without-tokenizer");
    ExportedFolder.requireFree(out);
    long bytes = ModelFolder.read(named.local(model, shared.command()), this::export);
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("path", out.toString()).put("bytes", bytes);
    String words = Words.of("%,d bytes of weights in %s", bytes, out);
    shared.out().println(shared.json() ? json : words);
    return 0;
  }

  private long export(ModelFolder folder) {
    if (adapter) {
      return adapter(folder);
    }
    try (TensorFiles files = folder.weights().checked();
        PartBar bar = PartBar.onStandardError("writing")) {
      folder.weights().notes(files).forEach(note -> shared.err().println("warning: " + note));
      ExportedModel exported = folder.exported(folder.weights().rows(files, folder.config()));
      return to == Format.HF ? huggingFace(exported, folder, bar) : gguf(exported, folder, bar);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private long adapter(ModelFolder folder) {
    if (!(folder.weights() instanceof StoredWeights.Adapted adapted)) {
      throw new IllegalArgumentException(
          model + " has no adapters; --adapter is for a run of panamoe train --lora");
    }
    Map<String, LowRank> adapters = StoredWeights.Adapted.factors(adapted.checkpoint());
    AdapterFiles files = folder.exported(Map.of()).adapters();
    String base = adapted.checkpoint().config(ModelFolder.BASE, AdaptedBase.class).path();
    try {
      WholeOrNothing.make(
          out,
          hidden -> {
            if (to == Format.HF) {
              Files.createDirectory(hidden);
              files.writePeft(hidden, adapters, base);
            } else {
              files.writeGguf(hidden, adapters);
            }
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return adapters.values().stream()
        .mapToLong(it -> Float.BYTES * ((long) it.a().length + it.b().length))
        .sum();
  }

  private ExportedTokenizer tokenizer(ModelFolder folder) {
    return withoutTokenizer
        ? new ExportedTokenizer(folder, Map.of())
        : ExportedTokenizer.of(folder, shared.err());
  }

  private long huggingFace(ExportedModel exported, ModelFolder folder, PartBar bar)
      throws IOException {
    return ExportedFolder.write(out, exported, dtype, tokenizer(folder), bar);
  }

  private long gguf(ExportedModel exported, ModelFolder folder, PartBar bar) throws IOException {
    GgufWriter writer = new GgufWriter();
    List<String> changed = exported.addTo(writer, dtype);
    if (!changed.isEmpty()) {
      shared.note(
          "%s in blocks of several formats, or of one that GGUF files lack, the first: %s; they are written as q8_0, or f32 if some rows are in no blocks",
          Count.of(changed.size(), "tensor"), changed.getFirst());
    }
    writer.put("general.name", model.toAbsolutePath().normalize().getFileName().toString());
    writer.put("general.quantization_version", 2);
    tokenizer(folder).putInto(writer);
    WholeOrNothing.make(out, hidden -> writer.write(hidden, bar));
    return Files.size(out);
  }
}
