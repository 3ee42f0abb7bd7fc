package panamoe.harness.edit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SaveReport;
import panamoe.harness.CommandRun;
import panamoe.harness.SpoiledWeights;
import panamoe.train.RunConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code edit} as a user runs it, on models of a few steps. */
class EditCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int STEPS = 10;

  @TempDir private static Path shared;
  private static Path text;

  @TempDir private Path folder;

  @BeforeAll
  static void trainModels() throws IOException {
    String[] words = {"the", "committee", "thanks", "its", "members", "for", "this", "vote"};
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(4000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    text = Files.writeString(shared.resolve("text.txt"), all);
    for (String architecture : new String[] {"dense", "pr-moe"}) {
      run(
          "train --preset tiny --arch "
              + architecture
              + (" --steps " + STEPS + " --text " + text)
              + (" --out " + shared.resolve(architecture)));
    }
  }

  private static CommandRun run(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private CommandRun edit(String model, String options) {
    String command = "edit " + shared.resolve(model) + " --out " + folder.resolve("edited");
    return CommandRun.of((command + " " + options).strip().split(" "));
  }

  private JsonNode edited(String model, String options) throws IOException {
    CommandRun run = edit(model, options + " --json");
    assertEquals(0, run.exitCode(), run.err());
    return JSON.readTree(run.out());
  }

  private static double bits(JsonNode report, String side) {
    return report.get(side).get("validation_bits_per_byte").asDouble();
  }

  private static byte[] weights(Path run, int step) throws IOException {
    return Files.readAllBytes(
        run.resolve(String.format("checkpoints/step-%08d/model.safetensors", step)));
  }

  private static double lastValidation(Path run) throws IOException {
    String line = Files.readAllLines(run.resolve("metrics.jsonl")).getLast();
    return JSON.readTree(line).get("validation_bits_per_byte").asDouble();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          pr-moe | --drop-layers 0 | [8] | 5
          pr-moe | --pyramid 12 | [0,12] | 0.1
          pr-moe | --pyramid 16 --noise 0 | [0,16] | 1e-3
          pr-moe | --merge-experts 3 | [0,3] | 0.3
          pr-moe | --prune-experts 5 | [0,3] | 0.3
          pr-moe | --prune-experts 5 --by reap | [0,3] | 0.3
          pr-moe | --prune-experts 25% --by reap | [0,6] | 0.3
          dense | --upcycle 4 | [0,4] | 0.01
          dense | --upcycle 4 --noise 0 | [0,4] | 1e-4
          dense | --upcycle 4 --top-k 1 --moe-layers 0 --seed 3 | [4,0] | 0.3
          """)
  void aModelIsEditedMeasuredAndReadAgain(String model, String options, String experts, double most)
      throws IOException {
    JsonNode report = edited(model, options);
    Path run = folder.resolve("edited");
    assertEquals(report, JSON.readTree(run.resolve("edit.json").toFile()));
    assertTrue(report.get("validation_tokens").asInt() > 64);
    assertEquals(experts, report.get("after").get("experts").toString());
    assertEquals(lastValidation(shared.resolve(model)), bits(report, "before"), 1e-6);
    assertEquals(bits(report, "before"), bits(report, "after"), most);
    JsonNode inspected = JSON.readTree(run("inspect --json --verify " + run).out());
    assertEquals(experts, inspected.get("experts").toString());
    assertEquals(0, inspected.get("step").asInt());
    for (String key : new String[] {"parameters", "activated"}) {
      String inspectedKey = key.equals("parameters") ? "total" : key;
      assertEquals(inspected.get(inspectedKey), report.get("after").get(key));
    }
    long tensors = report.get("after").get("bytes").asLong();
    assertTrue(weights(run, 0).length - tensors < 20_000, "bytes are the weights'");
    run("generate --model " + run + " --prompt the --max-tokens 3");
    run("distill --teacher " + run + " --steps 1 --out " + folder.resolve("student"));
  }

  @Test
  void aPyramidOfTheSameCountsIsTheModel() throws IOException {
    JsonNode report = edited("pr-moe", "--pyramid 8 --noise 1");
    assertEquals(report.get("before"), report.get("after"));
    assertArrayEquals(
        weights(shared.resolve("pr-moe"), STEPS), weights(folder.resolve("edited"), 0));
  }

  @Test
  void theSeedDecidesTheNoise() throws IOException {
    edited("dense", "--upcycle 2 --seed 5");
    byte[] first = weights(folder.resolve("edited"), 0);
    Files.move(folder.resolve("edited"), folder.resolve("first"));
    edited("dense", "--upcycle 2 --seed 5 --threads 1");
    assertArrayEquals(first, weights(folder.resolve("edited"), 0));
  }

  @Test
  void anEditedModelIsTrainedAndEditedFurther() throws IOException {
    JsonNode report = edited("dense", "--upcycle 4");
    Path run = folder.resolve("edited");
    String next = "edit " + run + " --drop-layers 0 --json --out " + folder.resolve("next");
    assertEquals(report.get("after"), JSON.readTree(run(next).out()).get("before"));
    CommandRun trained = run("train --out " + run + " --resume --steps 4");
    assertTrue(trained.err().contains("beginning with the weights in "), trained.err());
    assertTrue(lastValidation(run) < bits(report, "after"));
    CommandRun again = run("edit " + run + " --prune-experts 1 --out " + folder.resolve("again"));
    assertTrue(again.out().contains("experts by layer: [0, 4], then [0, 3]"), again.out());
    assertTrue(again.out().contains("bits per byte"), again.out());
    assertRefused(
        1, run + " already holds a run; choose another --out", edit("dense", "--upcycle 2"));
  }

  @Test
  void aStudentOfATeacherIsEditedWithoutTheTeacher() throws IOException {
    Path student = folder.resolve("student");
    run("distill --teacher " + shared.resolve("pr-moe") + " --steps 2 --out " + student);
    run("edit " + student + " --prune-experts 1 --out " + folder.resolve("edited"));
    run("train --resume --steps 1 --out " + folder.resolve("edited"));
    assertFalse(Files.exists(folder.resolve("edited/teacher.json")));
  }

  @Test
  void aModelWithoutATextNeedsOne() throws IOException {
    Path run = folder.resolve("run");
    edited("dense", "--drop-layers 0");
    Files.move(folder.resolve("edited"), run);
    Files.delete(run.resolve("text.json"));
    String command =
        "edit " + run + " --upcycle 2 --moe-layers 0 --out " + folder.resolve("edited");
    assertRefused(
        2, "does not name the text that it was trained on", CommandRun.of(command.split(" ")));
    run(command + " --text " + text);
    assertTrue(Files.readString(folder.resolve("edited/text.json")).contains(text.toString()));
  }

  /** Of a text that the report does not measure: other scores, the same measurement before. */
  @Test
  void expertsArePrunedByAnotherText() throws IOException {
    Path other = Files.writeString(folder.resolve("other.txt"), "0123 4567 89.\n".repeat(40));
    String options = "--prune-experts 50% --by reap --calibrate ";
    assertRefused(1, "the text /none does not exist", edit("pr-moe", options + "/none"));
    assertFalse(Files.exists(folder.resolve("edited")));
    JsonNode report = edited("pr-moe", options + other);
    assertEquals("[0,4]", report.get("after").get("experts").toString());
    assertEquals(lastValidation(shared.resolve("pr-moe")), bits(report, "before"), 1e-6);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          pr-moe | "" | give one of --drop-layers
          pr-moe | --drop-layers 0 --pyramid 8 | give one of --drop-layers
          pr-moe | --drop-layers 0,1 | all 2 layers would be dropped
          pr-moe | --drop-layers 2 | layer 2 cannot be dropped: the model's layers are 0 to 1
          pr-moe | --drop-layers x | Invalid value for option '--drop-layers'
          pr-moe | --upcycle 4 | the model has experts already, by layer [0, 8]
          dense | --upcycle 0 | experts is 0, expected 1 to 1024
          dense | --upcycle 4 --top-k 5 | topK is 5 but there are only 4 experts
          dense | --upcycle 4 --noise 2 | noise is 2.0, expected 0 to 1
          dense | --upcycle 4 --moe-layers 2 | layer 2 cannot get experts
          pr-moe | --pyramid 4 | a pyramid only grows; --merge-experts or --prune-experts leave fewer
          pr-moe | --pyramid 8,16 | expected a number for each MoE layer
          pr-moe | --pyramid 8 --top-k 2 | --moe-layers and --top-k go with --upcycle only
          pr-moe | --merge-experts 4 --noise 1 | --noise goes with --upcycle and --pyramid only
          pr-moe | --merge-experts 0 | 8 experts cannot be merged down to 0
          pr-moe | --merge-experts 9 | 8 experts cannot be merged down to 9
          pr-moe | --drop-layers 0,0 | layer 0 is named twice
          pr-moe | --prune-experts 8 | layer 1: 8 of 8 experts cannot be removed: 1 to 7 can go
          pr-moe | --prune-experts 1% | layer 1: 0 of 8 experts cannot be removed: 1 to 7 can go
          pr-moe | --prune-experts half | --prune-experts is half, expected a number of experts, or a percentage like 25%
          pr-moe | --merge-experts 4 --by reap | --by and --calibrate go with --prune-experts only
          dense | --prune-experts 1 | the model has no experts
          """)
  void refusesAndWritesNothing(String model, String options, String expected) {
    CommandRun refused = edit(model, options);
    assertRefused(2, expected, refused);
    assertEquals(1, refused.err().lines().count(), refused.err());
    assertFalse(Files.exists(folder.resolve("edited")));
  }

  @Test
  void spoiledWeightsAreRefused() throws IOException {
    edited("pr-moe", "--pyramid 8");
    Path spoiled = Files.move(folder.resolve("edited"), folder.resolve("spoiled"));
    Path checkpoint = spoiled.resolve("checkpoints/step-00000000");
    SpoiledWeights.enlarged(checkpoint);
    assertRefused(
        1,
        "the model gives numbers that are not finite",
        edit(spoiled.toString(), "--merge-experts 4"));
    SpoiledWeights.withNaN(checkpoint);
    for (String operation : List.of("--merge-experts 4", "--drop-layers 0", "--reshape")) {
      assertRefused(
          1, "in 1 tensor: embedding.weight (1 values)", edit(spoiled.toString(), operation));
    }
    assertFalse(Files.exists(folder.resolve("edited")));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFailureLeavesNothing(boolean afterTheSave) {
    RunConfig run = RunConfig.read(shared.resolve("dense/config.json"));
    Path out = folder.resolve("edited");
    EditedRun edited = new EditedRun(out, run, null, null, new PrintWriter(Writer.nullWriter()));
    EditedRun.Saving saving =
        (_, checkpoints) -> {
          Path saved = checkpoints.resolve("step-00000000");
          assertTrue(saved.resolve("weights").toFile().mkdirs());
          if (!afterTheSave) {
            throw new CheckpointException("the disk is full");
          }
          return new SaveReport(saved, List.of());
        };
    Class<? extends RuntimeException> expected =
        afterTheSave ? NullPointerException.class : CheckpointException.class;
    // a missing report fails after the save
    assertThrows(expected, () -> edited.write(saving, null));
    assertFalse(Files.exists(out));
  }

  @Test
  void refusesAPlaceThatIsNotFreeAndAModelThatIsNotThere() throws IOException {
    Path taken = Files.createDirectory(folder.resolve("edited"));
    Path file = Files.writeString(taken.resolve("mine"), "mine");
    assertRefused(1, "is not empty and holds no run", edit("dense", "--upcycle 2"));
    assertEquals("mine", Files.readString(file));
    assertRefused(1, "does not exist", edit("none", "--upcycle 2"));
    Files.delete(file);
    assertRefused(
        1, "nowhere does not exist", edit("dense", "--upcycle 2 --text " + folder + "/nowhere"));
    assertTrue(taken.toFile().list().length == 0);
  }

  private static void assertRefused(int exitCode, String expected, CommandRun refused) {
    assertEquals(exitCode, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains(expected), refused.err());
  }
}
