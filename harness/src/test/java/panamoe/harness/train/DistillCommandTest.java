package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.CommandRun;
import panamoe.harness.SpoiledWeights;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code distill} as a user runs it, from a teacher of a few steps. */
class DistillCommandTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int STEPS = 10;

  @TempDir private static Path shared;
  private static Path text;
  private static Path sharedTeacher;

  @TempDir private Path folder;
  private Path teacher = sharedTeacher;

  @BeforeAll
  static void trainTeacher() throws IOException {
    String[] words = {"the", "committee", "thanks", "its", "members", "for", "this", "vote"};
    StringBuilder all = new StringBuilder();
    new Random(1)
        .ints(4000, 0, words.length)
        .forEach(i -> all.append(words[i]).append(i % 7 == 0 ? ".\n" : " "));
    text = Files.writeString(shared.resolve("text.txt"), all);
    sharedTeacher = teacher(shared, "teacher", 2);
  }

  private static Path teacher(Path folder, String name, int checkpointEvery) throws IOException {
    Path config = TinyRun.config(folder, STEPS);
    String every = "\"checkpointEvery\" : ";
    String json = Files.readString(config).replaceAll(every + "\\d+", every + checkpointEvery);
    Files.writeString(config, json);
    run("train --config " + config + " --text " + text + " --out " + folder.resolve(name));
    return folder.resolve(name);
  }

  private static CommandRun run(String command) {
    CommandRun run = CommandRun.of(command.split(" "));
    assertEquals(0, run.exitCode(), run.err());
    return run;
  }

  private CommandRun distill(String name, String options) {
    String command = "distill --teacher " + teacher + " --out " + folder.resolve(name);
    return CommandRun.of((command + " " + options).strip().split(" "));
  }

  private List<JsonNode> metrics(Path run) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }

  private static byte[] weights(Path run) throws IOException {
    return Files.readAllBytes(
        run.resolve("checkpoints/step-000000" + STEPS + "/model.safetensors"));
  }

  @Test
  void trainsAShallowerStudentInTwoStages() throws IOException {
    CommandRun distilled = distill("student", "");
    assertEquals(0, distilled.exitCode(), distilled.err());
    Path student = folder.resolve("student");
    assertTrue(distilled.err().contains("teacher: " + teacher), distilled.err());
    String inspected = CommandRun.of("inspect", student.toString()).out();
    assertTrue(inspected.contains("1 layer of width 64"), inspected);
    List<JsonNode> steps = metrics(student);
    for (int i = 0; i < STEPS; i++) {
      assertEquals(i < 7, steps.get(i).has("divergence"), "step " + (i + 1));
    }
    assertTrue(
        steps.get(6).get("divergence").asDouble() < steps.getFirst().get("divergence").asDouble());
    String report = Files.readString(student.resolve("report.html"));
    assertTrue(report.contains("KL(teacher || student)"), "the report draws the divergence");
    assertTrue(Files.exists(student.resolve("plots/weight-of-the-divergence-in-the-loss.svg")));
    run("generate " + student + " -p the --max-tokens 4");
  }

  /** The teacher's own layers with alpha 0 are the teacher: its loss after STEPS more steps. */
  @Test
  void startsFromTheTeachersLayersUnlessAskedNotTo() throws IOException {
    assertEquals(0, distill("all", "--layers 2").exitCode());
    assertEquals(0, distill("scratch", "--layers 2 --from-scratch").exitCode());
    double last = metrics(teacher).getLast().get("loss").asDouble();
    double first = metrics(teacher).getFirst().get("loss").asDouble();
    JsonNode started = metrics(folder.resolve("all")).getFirst();
    assertTrue(started.get("loss").asDouble() < (first + last) / 2, started.toString());
    assertTrue(started.get("divergence").asDouble() < 1e-3, started.toString());
    JsonNode scratch = metrics(folder.resolve("scratch")).getFirst();
    assertEquals(first, scratch.get("loss").asDouble(), 1e-9);
  }

  @ParameterizedTest
  @CsvSource({ // in the first stage and in the second
    "6, ''",
    "8, ''",
    "6, --on-policy --on-policy-mix 0.5",
  })
  void aStudentStoppedInEitherStageEndsWithTheSameBits(int saved, String options)
      throws IOException {
    teacher = teacher(folder, "saved", saved);
    CommandRun begun = distill("student", options);
    assertEquals(0, begun.exitCode(), begun.err());
    Path student = folder.resolve("student");
    byte[] expected = weights(student);
    List<JsonNode> steps = metrics(student);
    delete(student.resolve("checkpoints/step-000000" + STEPS));
    Files.writeString(student.resolve("checkpoints/latest"), "step-0000000" + saved + "\n");
    if (saved > 7) {
      delete(teacher); // the teacher is not needed now
    }
    CommandRun resumed = CommandRun.of("distill", "--out", student.toString(), "--resume");
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("after step " + saved), resumed.err());
    assertEquals(saved < 7, resumed.err().contains("teacher: "), resumed.err());
    assertArrayEquals(expected, weights(student));
    for (String key : List.of("loss", "divergence", "grad_norm")) {
      assertEquals(
          steps.stream().map(step -> step.path(key)).toList(),
          metrics(student).stream().map(step -> step.path(key)).toList());
    }
  }

  @Test
  void aCacheOfTheTeacherChangesNoBit() throws IOException {
    Path cache = folder.resolve("cache");
    assertEquals(0, distill("asked", "").exitCode());
    byte[] expected = weights(folder.resolve("asked"));
    for (String name : List.of("first", "second")) {
      CommandRun cached = distill(name, "--teacher-cache " + cache);
      assertEquals(0, cached.exitCode(), cached.err());
      assertTrue(cached.err().contains("teacher's cache: up to 917,952 bytes"), cached.err());
      assertArrayEquals(expected, weights(folder.resolve(name)), name);
    }
    Path states = cache.resolve("hidden.bin");
    byte[] damaged = Files.readAllBytes(states);
    for (int i = 0; i < damaged.length; i++) {
      damaged[i] = (byte) (damaged[i] == 0 ? 0 : damaged[i] ^ 2);
    }
    Files.write(states, damaged);
    assertRefused(
        1,
        "panamoe distill: " + states + " is damaged in window ",
        distill("third", "--teacher-cache " + cache));
    assertRefused(
        1,
        cache + " is the cache of another teacher or text (sequence was 64, is 32)",
        distill("fourth", "--teacher-cache " + cache + " --config " + shorter()));
    assertRefused(
        1,
        "is not empty and holds no teacher's cache",
        distill("fifth", "--teacher-cache " + teacher));
    assertFalse(Files.exists(folder.resolve("fifth")));
    Path content = Files.writeString(cache.resolve("cache.json"), "[]");
    assertRefused(
        1,
        content + ": expected an object with \"teacher\", \"text\"",
        distill("sixth", "--teacher-cache " + cache));
  }

  private Path shorter() throws IOException {
    Path config = TinyRun.config(folder, 3);
    String json = Files.readString(config).replace("\"sequence\" : 64", "\"sequence\" : 32");
    return Files.writeString(config, json);
  }

  @Test
  void aTeacherThatWasMovedIsNamedAgainAndAnotherIsRefused() throws IOException {
    teacher = teacher(folder, "saved", 6);
    Path student = folder.resolve("student");
    assertEquals(0, distill("student", "").exitCode());
    delete(student.resolve("checkpoints/step-000000" + STEPS));
    Files.writeString(student.resolve("checkpoints/latest"), "step-00000006\n");
    Path moved = Files.move(teacher, folder.resolve("moved"));
    CommandRun lost = CommandRun.of("train", "--out", student.toString(), "--resume");
    assertRefused(1, "the run's teacher is no longer at " + teacher, lost);
    String resume = "distill --out " + student + " --resume --teacher ";
    Path other = teacher(folder, "other", 5);
    assertRefused(
        1,
        "is another checkpoint than the one that the run learns from",
        CommandRun.of((resume + other).split(" ")));
    Path left = Files.move(student, folder.resolve("left"));
    run("distill --teacher " + moved + " --steps 1 --until 0.5 --out " + student);
    assertRefused(
        1,
        "is another checkpoint than the one that the run learns from",
        CommandRun.of((resume + other).split(" "))); // although the remaining steps need no teacher
    delete(student);
    Files.move(left, student);
    run(resume + moved);
    assertTrue(Files.readString(student.resolve("teacher.json")).contains(moved.toString()));
  }

  /** Alpha 0 needs no teacher, but the student still starts from its layers. */
  @Test
  void aStudentKilledBeforeItsFirstCheckpointStartsFromItsTeacherAgain() throws IOException {
    assertEquals(0, distill("student", "--alpha 0").exitCode());
    Path student = folder.resolve("student");
    byte[] expected = weights(student);
    delete(student.resolve("checkpoints"));
    Files.createDirectory(student.resolve("checkpoints"));
    Files.delete(student.resolve("report.html"));
    Files.delete(student.resolve("metrics.jsonl"));
    run("distill --out " + student + " --resume");
    assertArrayEquals(expected, weights(student));
  }

  @Test
  void theLossIsThatOfOneRank() throws IOException {
    assertEquals(0, distill("one", "--steps 4").exitCode());
    List<JsonNode> expected = metrics(folder.resolve("one"));
    for (String ranks :
        List.of(
            "--ranks 2 --ep 2",
            "--ranks 2 --tp 2 --slice-experts",
            "--ranks 4 --tp 4 --expert-slices 2")) {
      String name = ranks.replace(" ", "");
      CommandRun distilled = distill(name, "--steps 4 " + ranks);
      assertEquals(0, distilled.exitCode(), distilled.err());
      List<JsonNode> steps = metrics(folder.resolve(name));
      for (int i = 0; i < 4; i++) {
        for (String key : List.of("loss", "divergence")) {
          assertEquals(
              expected.get(i).path(key).asDouble(-1),
              steps.get(i).path(key).asDouble(-1),
              1e-4,
              key + " of step " + (i + 1) + " with " + ranks);
        }
      }
    }
  }

  @Test
  void aPlaceThatIsTakenSaysHowItsRunGoesOn() {
    assertEquals(0, distill("student", "--steps 1").exitCode());
    assertRefused(
        1, "already holds a run; continue it by distill --resume", distill("student", ""));
  }

  @Test
  void aStudentOfAnotherShapeComesFromAConfig() throws IOException {
    Path config = TinyRun.config(folder, 3);
    Files.writeString(
        config, Files.readString(config).replace("\"hidden\" : 64", "\"hidden\" : 32"));
    CommandRun distilled = distill("narrow", "--config " + config);
    assertEquals(0, distilled.exitCode(), distilled.err());
    assertTrue(metrics(folder.resolve("narrow")).getFirst().has("divergence"));
    assertRefused(
        1,
        "has a distillation, which needs a teacher",
        CommandRun.of(
            "train",
            "--config",
            folder.resolve("narrow/config.json").toString(),
            "--text",
            text.toString(),
            "--out",
            folder.resolve("none").toString()));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          --layers 3 | 2 | 3 layers to keep, but the model has 2: expected 1 to 2
          --layers 0 | 2 | 0 layers to keep
          --keep 0,2 | 2 | layer 2 cannot be kept: the model's layers are 0 to 1
          --keep 1,0 | 2 | expected numbers from 0 in ascending order
          --keep 1 --layers 1 | 2 | give one of the two
          --alpha -1 | 2 | alpha is -1.0, expected 0 to 1e6
          --temperature 0 | 2 | temperature is 0.0, expected 0.01 to 100
          --until 0 | 2 | until is 0.0, expected more than 0, at most 1
          --until 1.5 | 2 | until is 1.5, expected more than 0, at most 1
          --on-policy-mix 0.5 | 2 | --on-policy-mix goes with --on-policy only
          --on-policy --on-policy-mix 2 | 2 | onPolicyMix is 2.0, expected 0 (reverse KL) to 1 (forward KL)
          --on-policy --ranks 2 | 2 | a student that samples trains on one rank, not on 2
          --on-policy --teacher-cache cache | 2 | --on-policy gives the teacher new texts in each step
          --fall off | 2 | 'off' is none of [stop, linear, cosine]
          --resume | 1 | there is no run to resume
          """)
  void refusesAndLeavesNoRun(String options, int exitCode, String expected) {
    assertRefused(exitCode, expected, distill("refused", options));
    assertFalse(Files.exists(folder.resolve("refused")));
  }

  @Test
  void refusesAnUnfitTeacher() throws IOException {
    String out = " --out " + folder.resolve("student");
    assertRefused(
        2,
        "Missing required option: '--teacher=MODEL'",
        CommandRun.of(("distill" + out).split(" ")));
    teacher = teacher(folder, "spoiled", STEPS);
    SpoiledWeights.withNaN(teacher.resolve("checkpoints/step-000000" + STEPS));
    CommandRun spoiled = distill("student", "");
    assertRefused(1, "in 1 tensor: embedding.weight (1 values)", spoiled);
    assertFalse(Files.exists(folder.resolve("student")));
    teacher = sharedTeacher;
    Path empty = Files.createDirectory(folder.resolve("empty"));
    CommandRun none = CommandRun.of(("distill --teacher " + empty + out).split(" "));
    assertRefused(1, empty.toString(), none);
    Path config = TinyRun.config(folder, 3);
    String json = Files.readString(config);
    Files.writeString(config, json.replace("\"vocabulary\" : 257", "\"vocabulary\" : 300"));
    assertRefused(
        1,
        "the student has a vocabulary of 300, the teacher one of 257: they must be equal",
        distill("student", "--config " + config));
    Files.writeString(
        config,
        json.replace("\"context\" : 128", "\"context\" : 512")
            .replace("\"sequence\" : 64", "\"sequence\" : 256"));
    assertRefused(
        1,
        "training.sequence is 256, but the teacher's context is 128",
        distill("student", "--config " + config));
    assertFalse(Files.exists(folder.resolve("student")));
  }

  private static void assertRefused(int exitCode, String expected, CommandRun refused) {
    assertEquals(exitCode, refused.exitCode(), refused.err());
    assertTrue(refused.err().contains(expected), refused.err());
  }

  private static void delete(Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
