package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class ConformanceCommandTest {
  @TempDir Path folder;

  private CommandRun run(String... options) {
    String[] args = new String[options.length + 4];
    args[0] = "conformance";
    args[1] = folder.toString();
    args[2] = "--device";
    args[3] = "reference";
    System.arraycopy(options, 0, args, 4, options.length);
    return CommandRun.of(args);
  }

  @Test
  void passingCasesEndWithTheCountAlone() throws IOException {
    RecordedCase.relu(3).write(folder.resolve("good.safetensors"));
    CommandRun run = run();
    List<String> lines = run.out().lines().toList();
    assertEquals(
        "ok   good: max abs error 0.0e+00 (integers), tolerance 1e-04 |x| + 1e-05 max(1, max |x|)",
        lines.getFirst());
    assertEquals("1 passed, 0 failed", lines.getLast());
    assertEquals(0, run.exitCode());
  }

  @Test
  void wrongNumberFailsWithItsPlace() throws IOException {
    RecordedCase.relu(3).write(folder.resolve("good.safetensors"));
    RecordedCase.relu(3.01f).write(folder.resolve("wrong.safetensors"));
    CommandRun run = run();
    assertEquals(
        List.of("FAIL wrong: out[2] is 3.0, expected 3.01", "1 passed, 1 failed"),
        run.out().lines().skip(1).toList());
    assertEquals(1, run.exitCode());
  }

  @Test
  void unknownKindIsAFailure() throws IOException {
    new RecordedCase("acme.router").with("x", 1).write(folder.resolve("strange.safetensors"));
    CommandRun run = run();
    assertEquals("FAIL strange: unknown case kind 'acme.router'\n0 passed, 1 failed\n", run.out());
    assertEquals(1, run.exitCode());
  }

  @Test
  void gradientThatNobodyReadsIsAFailure() throws IOException {
    RecordedCase.relu(3).with("grad.bias", 1).write(folder.resolve("more.safetensors"));
    CommandRun run = run();
    assertEquals(
        "FAIL more: grad.bias is recorded and not compared\n0 passed, 1 failed\n", run.out());
    assertEquals(1, run.exitCode());
  }

  @Test
  void ruleThatNoConfigurationSaysIsSkipped() throws IOException {
    ObjectNode settings = JsonMapper.shared().createObjectNode();
    settings.putObject("hyper").put("gate", "hash");
    new RecordedCase("tutel.moe_layer").with(settings).write(folder.resolve("hash.safetensors"));
    CommandRun run = run();
    assertEquals(
        List.of(
            "skip hash: no configuration says a router called \"hash\"; a key gate.router would",
            "0 passed, 0 failed, 1 skipped"),
        run.out().lines().toList());
    assertEquals(0, run.exitCode());
    JsonNode line =
        JsonMapper.shared().readTree(run("--json").out().lines().findFirst().orElseThrow());
    assertFalse(line.get("passed").asBoolean());
    assertTrue(line.get("skipped").asString().startsWith("no configuration says"), line.toString());
  }

  @Test
  void missingTensorIsNamed() throws IOException {
    new RecordedCase("relu").with("x", 1).write(folder.resolve("half.safetensors"));
    String line = run().out().lines().findFirst().orElseThrow();
    assertTrue(line.startsWith("FAIL half: ") && line.endsWith("has no tensor out"), line);
  }

  @Test
  void brokenFileFailsAndTheOthersGoOn() throws IOException {
    Files.writeString(folder.resolve("broken.safetensors"), "not a tensor in here");
    RecordedCase.relu(3).write(folder.resolve("good.safetensors"));
    CommandRun run = run();
    assertTrue(run.out().startsWith("FAIL broken: "), run.out());
    assertTrue(run.out().contains("invalid header length"), run.out());
    assertTrue(run.out().endsWith("\n1 passed, 1 failed\n"), run.out());
    assertEquals(1, run.exitCode());
  }

  @Test
  void fileWithoutKindIsNoCase() throws IOException {
    byte[] header = "{}".getBytes(StandardCharsets.UTF_8);
    byte[] file = new byte[Long.BYTES + header.length];
    file[0] = (byte) header.length;
    System.arraycopy(header, 0, file, Long.BYTES, header.length);
    Files.write(folder.resolve("plain.safetensors"), file);
    assertTrue(run().out().contains("no 'op' in the metadata"), run().out());
  }

  @Test
  void emptyFolderIsAnError() {
    CommandRun run = run();
    assertEquals(1, run.exitCode());
    assertTrue(run.err().contains(folder + " holds no recorded case (*.safetensors"), run.err());
  }

  @Test
  void missingFolderIsAnError() {
    CommandRun run = CommandRun.of("conformance", folder.resolve("nowhere").toString());
    assertEquals(1, run.exitCode());
    assertTrue(
        run.err().contains("no such file or folder: " + folder.resolve("nowhere")), run.err());
  }

  @Test
  void anEmptyNameIsNoFolder() {
    CommandRun run = CommandRun.of("conformance", "");
    assertEquals(2, run.exitCode());
    assertTrue(run.err().contains("the path is empty"), run.err());
  }

  @Test
  void checkpointsBesideAConfigAreNoCases() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    new RecordedCase("weights").with("w", 1).write(folder.resolve("model.safetensors"));
    RecordedCase.relu(3).write(folder.resolve("golden.safetensors"));
    assertTrue(run().out().endsWith("1 passed, 0 failed\n"), run().out());
  }

  @Test
  void jsonHasALineForEachCaseAndTheCount() throws IOException {
    RecordedCase.relu(3.01f).write(folder.resolve("wrong.safetensors"));
    List<String> lines = run("--json").out().lines().toList();
    JsonNode first = JsonMapper.shared().readTree(lines.get(0));
    assertEquals("wrong", first.get("name").asString());
    assertEquals("reference", first.get("device").asString());
    assertEquals(0.01, first.get("max_abs_error").asDouble(), 1e-6);
    assertEquals("out[2] is 3.0, expected 3.01", first.get("failures").get(0).asString());
    JsonNode last = JsonMapper.shared().readTree(lines.get(1));
    assertEquals(0, last.get("passed").asInt());
    assertEquals(1, last.get("failed").asInt());
    assertEquals(0, last.get("skipped").asInt());
  }
}
