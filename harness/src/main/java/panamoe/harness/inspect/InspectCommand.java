package panamoe.harness.inspect;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeMap;
import panamoe.checkpoint.HuggingFaceFolder;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.config.AdapterConfig;
import panamoe.harness.HubModels;
import panamoe.harness.Quantization;
import panamoe.harness.Subcommand;
import panamoe.harness.train.AdapterOptions;
import panamoe.io.ConfigJson;
import panamoe.io.Words;
import panamoe.open.ExpertHeat;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Prints a model as a table: layers, experts, parameters by part. Reads the configuration"
            + " and file headers, no weights.",
    footer = {
      "",
      "Examples:",
      "  panamoe inspect novels                      a run's latest checkpoint",
      "  panamoe inspect novels --memory             and the memory that training it takes",
      "  panamoe inspect novels --verify             and compares every file's checksum",
      "  panamoe inspect config.json --memory        a model that is not yet trained",
      "  panamoe inspect qwen3.gguf --memory --lora 16   what training adapters of it takes",
      "  panamoe inspect ~/Qwen3-30B-A3B --tensors   what a released model's files hold"
    })
public final class InspectCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A run's folder, a checkpoint, a released model's folder, .gguf file or name"
              + " (hf:OWNER/REPO), or a config.json as train --config takes it.")
  private Path path;

  @Mixin private HubModels named;

  @Option(
      names = "--memory",
      description =
          "Predict the memory of training, by kind; for a released model that of generating one"
              + " sequence of its context.")
  private boolean memory;

  @Option(
      names = "--quantize",
      paramLabel = "TYPE",
      description =
          "With --memory: that of generating, or of training adapters, with matrices in int8, int4,"
              + " stored or none. Default: that of generate on a CPU.")
  private Quantization quantize;

  @Mixin private AdapterOptions lora;

  @Option(
      names = "--tensors",
      description = "Print the stored tensors instead: name, dtype, shape, file.")
  private boolean tensors;

  @Option(
      names = "--heat",
      description = "Print how often servers chose each expert instead (docs/experts.md).")
  private boolean heat;

  @Option(
      names = "--expert-cache",
      paramLabel = "DIR",
      description =
          "With --heat: the servers' folder. Default: panamoe/experts in the user's cache folder.")
  private Path kept;

  @Option(names = "--verify", description = "Compare the checksum of every file with the manifest.")
  private boolean verify;

  @Option(names = "--json", description = "Print JSON, one object per line.")
  private boolean json;

  @Override
  public Integer call() {
    path = named.local(path, spec);
    HuggingFaceFolder.refusePickle(path);
    boolean config = Files.isRegularFile(path) && !ModelFolder.isGguf(path);
    require(!config || !verify, "--verify is for a checkpoint, and " + path + " is a config");
    require(quantize == null || memory, "--quantize goes with --memory");
    AdapterConfig adapters = adapters();
    require(
        adapters == null || memory && !config,
        "--lora goes with --memory, of a model with weights");
    require(
        !config || quantize != Quantization.STORED,
        "--quantize stored is for files of weights, and " + path + " is a config");
    require(kept == null || heat, "--expert-cache goes with --heat");
    if (heat) {
      require(
          !config && !memory && !verify && !tensors,
          "--heat is for a folder with weights, and goes alone");
      return ModelFolder.read(path, this::printHeat);
    }
    if (tensors) {
      require(
          !config && !memory && !verify, "--tensors is for a folder with weights, and goes alone");
      return ModelFolder.read(path, this::printTensors);
    }
    ModelTable table = config ? ModelTable.ofConfig(path) : ModelTable.ofCheckpoint(path, verify);
    PrintWriter out = spec.commandLine().getOut();
    if (adapters != null) {
      table = table.adapting(adapters);
    }
    if (json) {
      out.println(table.toJson(memory, quantize));
      return 0;
    }
    out.print(table.toText());
    if (memory) {
      out.print(table.memoryText(quantize));
    }
    if (verify) {
      out.println("all files agree with the manifest");
    }
    return 0;
  }

  private AdapterConfig adapters() {
    try {
      return lora.config();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  private void require(boolean holds, String sentence) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), sentence);
    }
  }

  private int printHeat(ModelFolder folder) {
    Path place = kept == null ? InferenceSettings.usersExperts(System.getenv()) : kept;
    require(place != null, "there is no cache folder: name one with --expert-cache");
    PrintWriter out = spec.commandLine().getOut();
    for (ExpertHeat.Layer layer : new ExpertHeat(place, folder).layers()) {
      out.println(json ? ConfigJson.tree(layer) : HeatTable.line(layer));
    }
    return 0;
  }

  private int printTensors(ModelFolder folder) {
    PrintWriter out = spec.commandLine().getOut();
    try (TensorFiles files = folder.weights().open()) {
      for (StoredTensor tensor : new TreeMap<>(files.tensors()).values()) {
        String shape = Arrays.toString(tensor.shape());
        String file = files.file(tensor).getFileName().toString();
        if (json) {
          ObjectNode node = JsonNodeFactory.instance.objectNode();
          node.put("name", tensor.name()).put("dtype", tensor.type().name());
          ArrayNode shapeNode = node.putArray("shape");
          Arrays.stream(tensor.shape()).forEach(shapeNode::add);
          out.println(node.put("file", file));
        } else {
          out.println(Words.of("%-60s %-8s %-20s %s", tensor.name(), tensor.type(), shape, file));
        }
      }
    }
    return 0;
  }
}
