package panamoe.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NvrtcLibraryTest {
  @TempDir private Path root;

  private Path library(String folder) throws IOException {
    Path file = root.resolve(folder).resolve(NvrtcLibrary.FILE_NAME);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, "no library");
  }

  private List<NvrtcLibrary.Place> places(Map<String, String> environment) {
    return places(null, environment);
  }

  private List<NvrtcLibrary.Place> places(String property, Map<String, String> environment) {
    return NvrtcLibrary.places(
        property, root.resolve("listed").toString(), environment, root, root.resolve("project"));
  }

  @Test
  void theUsersCudaComesFirstAndOursLast() throws IOException {
    Map<String, String> environment =
        Map.of(
            "CUDA_HOME", root.resolve("home").toString(),
            "CUDA_PATH", root.resolve("path").toString(),
            "HOME", root.resolve("user").toString());
    Files.createDirectories(root.resolve("etc/ld.so.conf.d"));
    Files.writeString(root.resolve("etc/ld.so.conf.d/cuda.conf"), "# a comment\n/opt/listed/lib\n");
    List<Path> inOrder =
        List.of(
            library("user/.cache/panamoe/nvrtc"),
            library("project/build/nvrtc"),
            library("usr/lib/x86_64-linux-gnu"),
            library("opt/listed/lib"),
            library("listed"),
            library("usr/local/cuda-12.4/lib64"),
            library("usr/local/cuda-12.6/lib64"),
            library("usr/local/cuda/targets/x86_64-linux/lib"),
            library("path/lib"),
            library("home/lib64"));
    for (Path best : inOrder.reversed()) {
      assertEquals(Optional.of(best), NvrtcLibrary.find(places(environment)));
      Files.delete(best);
    }
    assertEquals(Optional.empty(), NvrtcLibrary.find(places(environment)));
  }

  @Test
  void aNamedFolderIsNotPassedOver() throws IOException {
    library("project/build/nvrtc");
    Path right = library("right");
    Path wrong = Files.createDirectory(root.resolve("wrong"));
    Map<String, String> variable = Map.of("PANAMOE_NVRTC_PATH", wrong.toString());
    assertEquals(
        Optional.of(right), NvrtcLibrary.find(places(right.getParent().toString(), variable)));
    for (String property : new String[] {null, wrong.toString()}) {
      String setting = property == null ? "PANAMOE_NVRTC_PATH" : "-Dpanamoe.nvrtc.path";
      List<NvrtcLibrary.Place> places = places(property, property == null ? variable : Map.of());
      assertThrows(UnsatisfiedLinkError.class, () -> NvrtcLibrary.find(places));
      String message =
          assertThrows(UnsatisfiedLinkError.class, () -> NvrtcLibrary.load(places)).getMessage();
      String sentence =
          "there is no libnvrtc.so.12 in " + wrong + ", which " + setting + " names: ";
      assertTrue(message.startsWith(sentence), message);
      assertEquals(1, message.lines().count());
    }
    String message =
        assertThrows(UnsatisfiedLinkError.class, () -> places("a\0b", Map.of())).getMessage();
    assertTrue(message.contains("is no path on this system"), message);
  }

  @Test
  void whatIsMissingIsSaidInOneSentence() {
    List<NvrtcLibrary.Place> places = places(Map.of("CUDA_HOME", root.resolve("home").toString()));
    String message =
        assertThrows(UnsatisfiedLinkError.class, () -> NvrtcLibrary.load(places)).getMessage();
    assertTrue(
        message.startsWith("NVRTC of CUDA 12 is not there: no libnvrtc.so.12 in " + root), message);
    assertTrue(message.contains(root.resolve("home/lib64") + " (CUDA_HOME)"), message);
    assertTrue(
        message.contains(root.resolve("project/build/nvrtc") + " (ci/fetch/nvrtc)"), message);
    assertTrue(
        message.contains("run ci/fetch/nvrtc") && message.contains("PANAMOE_NVRTC_PATH"), message);
    assertEquals(1, message.lines().count());
  }

  @Test
  void aLibraryWithoutItsBuiltinsIsNotWhole() throws IOException {
    library("project/build/nvrtc");
    String message =
        assertThrows(UnsatisfiedLinkError.class, () -> NvrtcLibrary.load(places(Map.of())))
            .getMessage();
    assertTrue(message.startsWith("NVRTC is not whole: libnvrtc.so.12 lies in " + root), message);
    assertTrue(message.contains("without its libnvrtc-builtins.so.12."), message);
  }
}
