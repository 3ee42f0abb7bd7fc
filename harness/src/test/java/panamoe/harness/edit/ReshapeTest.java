package panamoe.harness.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.harness.CommandRun;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** edit --reshape as a user runs it; Megatron's files were made by torch, see make.py. */
class ReshapeTest {
  private static final Path MEGATRON = Path.of("src/test/resources/megatron");

  @TempDir private Path folder;

  private CommandRun edit(Path model, String options) {
    String command = "edit " + model + " --reshape --out " + folder.resolve("out") + " " + options;
    return CommandRun.of(command.strip().split(" "));
  }

  private static CommandRun run(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private static List<String> files(Path run) throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("checkpoints/step-00000000"))) {
      return files
          .map(path -> path.getFileName().toString())
          .filter(name -> name.startsWith("model"))
          .sorted()
          .toList();
    }
  }

  @Test
  void aRunIsCutIntoFilesAndJoinedAgainBitForBit() throws IOException {
    Path text =
        Files.writeString(folder.resolve("text.txt"), "the vote is for the report. ".repeat(400));
    Path model = folder.resolve("model");
    run("train --preset tiny --arch pr-moe --steps 2 --text " + text + " --out " + model);
    CommandRun cut = edit(model, "--files 3 --json");
    assertEquals(0, cut.exitCode(), cut.err());
    JsonNode report = JsonMapper.shared().readTree(cut.out());
    assertEquals(3, report.get("files").asInt());
    Path parts = folder.resolve("out");
    assertEquals(
        List.of(
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors"),
        files(parts));
    JsonNode inspected =
        JsonMapper.shared().readTree(run("inspect --json --verify " + parts).out());
    assertEquals(inspected.get("total"), report.get("parameters"));
    Path joined = folder.resolve("joined");
    Files.delete(text); // no text is read
    run("edit " + parts + " --reshape --out " + joined);
    assertEquals(List.of("model.safetensors"), files(joined));
    assertArrayEquals(
        Files.readAllBytes(model.resolve("checkpoints/step-00000002/model.safetensors")),
        Files.readAllBytes(joined.resolve("checkpoints/step-00000000/model.safetensors")));
    assertEquals(
        Files.readString(model.resolve("text.json")),
        Files.readString(joined.resolve("text.json")));
    run("generate --model " + joined + " --prompt the --max-tokens 3");
  }

  @ParameterizedTest
  @CsvSource({"'',1", "global_step3,5"})
  void aCheckpointOfTorchGivesTheLogitsOfTorch(String tag, int files) throws IOException {
    CommandRun read = edit(MEGATRON.resolve(tag), "--files " + files);
    assertEquals(0, read.exitCode(), read.err());
    assertTrue(read.out().contains("experts by layer: [0, 2]"), read.out());
    assertEquals(files, files(folder.resolve("out")).size());
    List<String> lines = Files.readAllLines(MEGATRON.resolve("logits.txt"));
    int[] ids = Arrays.stream(lines.getFirst().split(" ")).mapToInt(Integer::parseInt).toArray();
    float[][] found = logits(ids);
    for (int row = 0; row < ids.length; row++) {
      String[] expected = lines.get(row + 1).split(" ");
      for (int i = 0; i < expected.length; i++) {
        assertEquals(Float.parseFloat(expected[i]), found[row][i], 2e-5f, row + ", " + i);
      }
    }
    run("inspect --verify " + folder.resolve("out"));
    run("generate --model " + folder.resolve("out") + " --prompt hi --max-tokens 3");
  }

  @Test
  void aConvertedModelIsEditedAndTeachesButIsNotResumed() throws IOException {
    assertEquals(0, edit(MEGATRON, "").exitCode());
    Path text = Files.writeString(folder.resolve("text.txt"), "the vote is for it. ".repeat(400));
    Path out = folder.resolve("out");
    run("edit " + out + " --prune-experts 1 --text " + text + " --out " + folder.resolve("one"));
    Path student = folder.resolve("student");
    run("distill --teacher " + out + " --steps 1 --text " + text + " --out " + student);
    CommandRun resumed = CommandRun.of("train", "--resume", "--out", out.toString());
    assertEquals(1, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("text.json"), resumed.err());
  }

  private float[][] logits(int... ids) {
    List<String> warnings = new ArrayList<>();
    try (ReferenceBackend backend = new ReferenceBackend();
        LanguageModel model =
            ModelFolder.open(folder.resolve("out")).load(backend, DType.FLOAT32, warnings);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor tokens = scope.allocate(DType.INT32, ids.length).set(ids);
      Pass pass = Pass.inference(backend, scope);
      Sequences whole = Sequences.Whole.of(scope, ids.length, ids.length);
      Tensor hidden = model.forward(pass, tokens, whole, null, false);
      Tensor logits = model.head().logits(pass, hidden);
      float[][] rows = new float[ids.length][];
      for (int row = 0; row < ids.length; row++) {
        rows[row] = logits.rows(row, row + 1).toFloats();
      }
      return rows;
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --files 0 | 2 | cannot be written into 0 files: expected 1 to
          --files 1000 | 2 | cannot be written into 1000 files
          --noise 1 | 2 | --noise goes with --upcycle and --pyramid only
          --text x | 2 | --reshape measures nothing and takes no --text
          --drop-layers 0 | 2 | give one of --drop-layers
          --tokenizer none.json | 1 | none.json
          """)
  void refusesAndWritesNothing(String options, int exitCode, String expected) {
    CommandRun refused = edit(MEGATRON, options);
    assertEquals(exitCode, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains(expected), refused.err());
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertFalse(Files.exists(folder.resolve("out")));
  }

  @Test
  void aMissingExpertIsNamed() throws IOException {
    Path copy = Files.createDirectory(folder.resolve("copy"));
    String missing = "layer_0_expert_1_mp_rank_01_model_states.pt";
    try (Stream<Path> all = Files.list(MEGATRON.resolve("global_step3"))) {
      for (Path file : all.toList()) {
        if (!file.endsWith(missing)) {
          Files.copy(file, copy.resolve(file.getFileName()));
        }
      }
    }
    CommandRun refused = edit(copy, "");
    assertEquals(1, refused.exitCode());
    assertTrue(refused.err().contains(missing + " does not exist"), refused.err());
    assertFalse(Files.exists(folder.resolve("out")));
    CommandRun other = CommandRun.of("inspect", copy.toString());
    assertTrue(other.err().contains("; convert it first by edit --reshape"), other.err());
    Path empty = Files.createDirectory(folder.resolve("empty"));
    Files.writeString(empty.resolve("latest"), "global_step99");
    String lost = empty.resolve("latest") + " names global_step99, which is not there";
    assertTrue(edit(empty, "").err().contains(lost), edit(empty, "").err());
    Files.writeString(empty.resolve("latest"), "");
    assertTrue(edit(empty, "").err().contains("latest names no folder"), edit(empty, "").err());
    CommandRun none = edit(folder, "--tokenizer x");
    assertTrue(none.err().contains("--tokenizer goes with Megatron-DeepSpeed's files only"));
  }
}
