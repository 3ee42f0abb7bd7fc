package panamoe.harness.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import panamoe.harness.CommandRun;
import picocli.CommandLine.Help.Ansi;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class DoctorCommandTest {
  @Test
  void jsonHoldsEveryTopicAndAgreesWithTheExitCode() throws Exception {
    CommandRun run = CommandRun.of("doctor", "--json");
    JsonNode json = JsonMapper.shared().readTree(run.out());
    Map<String, JsonNode> findings = new HashMap<>();
    json.get("findings").forEach(finding -> findings.put(finding.get("topic").asString(), finding));
    for (String topic :
        new String[] {
          "processor",
          "threads",
          "memory",
          "huge pages",
          "JDK",
          "C++ compiler",
          "CMake",
          "ninja",
          "Highway",
          "oneDNN",
          "GoogleTest",
          "MPI",
          "CUDA compiler",
          "NVRTC",
          "GPU",
          "native library",
          "default corpus"
        }) {
      assertTrue(findings.containsKey(topic), "nothing about " + topic);
    }
    assertTrue(findings.get("JDK").get("found").asString().startsWith("25"));
    findings.forEach(
        (topic, finding) ->
            assertTrue(
                finding.hasNonNull("found") || finding.hasNonNull("advice"),
                topic + " is missing without advice"));
    assertEquals(json.get("ready").asBoolean(), run.exitCode() == 0);
    boolean complete =
        findings.values().stream()
            .allMatch(
                finding -> finding.hasNonNull("found") || !finding.get("required").asBoolean());
    assertEquals(complete, json.get("ready").asBoolean());
  }

  /** With a GPU, the library's own message may be the only clue. */
  @Test
  void aMachineWithoutAGpuIsReported() {
    assumeTrue(MachineCheck.gpu().isEmpty());
    String said = CommandRun.of("doctor").out();
    assertTrue(said.contains("not needed: this machine has no NVIDIA GPU"), said);
    assertFalse(said.contains("moe_") || said.contains("MOE_"), said);
  }

  @Test
  void aProcessorIsToldWhatItLacksForBfloat16() {
    assertEquals("", NativeCheck.missing(List.of("avx512f")));
    assertEquals("", NativeCheck.missing(List.of("avx512_bf16", "amx_bf16")));
    String missing = NativeCheck.missing(List.of("avx512f", "avx512_bf16"));
    assertTrue(missing.contains("has no amx_bf16"), missing);
  }

  @Test
  void theTableMarksWhatIsMissing() {
    String present =
        Finding.needed("CMake", Optional.of("cmake 3.31"), "install it").describe(Ansi.OFF);
    assertEquals("ok  CMake            cmake 3.31", present);
    String missing = Finding.optional("MPI", Optional.empty(), "install it").describe(Ansi.OFF);
    assertTrue(missing.startsWith("--  MPI") && missing.endsWith("-> install it"), missing);
    assertTrue(
        Finding.needed("native library", Optional.empty(), "build it")
            .describe(Ansi.OFF)
            .startsWith("!!"));
  }

  @Test
  void aToolThatIsAbsentOrFailsIsNotFound() {
    Pattern anything = Pattern.compile("(.*)");
    assertTrue(Tool.ask(anything, "no-such-program").isEmpty());
    assertTrue(Tool.ask(anything, "false").isEmpty());
    assertEquals("words", Tool.ask(anything, "echo", "words").orElseThrow());
    assertFalse(SystemFile.find("/no/such/file", anything).isPresent());
  }
}
