package panamoe.engine.schedule;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Blocks are taken once, found by name, and reused in the order of their release. */
class BlockPoolTest {
  private static Prefix prefix(int token) {
    return Prefix.none("").then(new int[] {token}, 0, 1);
  }

  @Test
  void theBlockThatCameBackFirstGoesFirst() {
    BlockPool pool = new BlockPool(3);
    int a = pool.take();
    int b = pool.take();
    int c = pool.take();
    assertThrows(IllegalStateException.class, pool::take);
    pool.release(b);
    pool.release(c);
    pool.release(a);
    assertEquals(b, pool.take());
    assertEquals(c, pool.take());
    assertEquals(a, pool.take());
  }

  @Test
  void aNamedBlockIsFoundUntilItIsTakenForAnother() {
    BlockPool pool = new BlockPool(2);
    int block = pool.take();
    pool.name(block, prefix(1));
    pool.share(block);
    assertEquals(block, pool.find(prefix(1)));
    pool.release(block);
    assertTrue(pool.used(block));
    pool.release(block);
    assertEquals(2, pool.unused());
    assertEquals(block, pool.find(prefix(1)));
    pool.share(block);
    assertEquals(1, pool.unused());
    pool.release(block);
    pool.take();
    pool.take();
    assertEquals(-1, pool.find(prefix(1)));
  }

  @Test
  void ofTwoBlocksOfOneTextTheFirstIsFound() {
    BlockPool pool = new BlockPool(2);
    int first = pool.take();
    int second = pool.take();
    pool.name(first, prefix(1));
    pool.name(second, prefix(1));
    assertEquals(first, pool.find(prefix(1)));
    pool.release(second);
    pool.take();
    assertEquals(first, pool.find(prefix(1)));
  }

  @Test
  void aNameSaysAllTokensAndTheSalt() {
    int[] tokens = {1, 2, 3, 4};
    Prefix two = Prefix.none("").then(tokens, 0, 2).then(tokens, 2, 2);
    assertEquals(two, Prefix.none("").then(tokens, 0, 2).then(new int[] {3, 4}, 0, 2));
    assertTrue(!two.equals(Prefix.none("").then(tokens, 0, 4)));
    assertTrue(!two.equals(Prefix.none("salt").then(tokens, 0, 2).then(tokens, 2, 2)));
  }
}
