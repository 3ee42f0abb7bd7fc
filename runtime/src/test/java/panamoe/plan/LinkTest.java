package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LinkTest {
  @Test
  void aFitFindsTheLinkThatWasTimed() {
    List<Link.Timed> timed = new ArrayList<>();
    for (int peers : new int[] {1, 3, 7}) {
      for (double bytes : new double[] {100, 10_000, 1_000_000}) {
        timed.add(new Link.Timed(peers, bytes, 14e-6 + peers * 2e-6 + bytes / 22e9));
      }
    }
    Link link = Link.fitted(timed, "here");
    assertEquals(14e-6, link.base().value(), 1e-12);
    assertEquals(2e-6, link.perPeer().value(), 1e-12);
    assertEquals(22e9, link.bandwidth().value(), 1e3);
    assertEquals(Constant.Kind.MEASURED, link.base().kind());
  }

  @Test
  void aConstantThatIsMissingIsNamed() {
    Constant base = new Constant(1e-6, "s", Constant.Kind.ASSUMED, "a test");
    assertEquals(
        "perPeer is missing",
        assertThrows(IllegalArgumentException.class, () -> new Link(base, null, base))
            .getMessage());
  }
}
